import KarsCore

extension SecretStore {
    /// The store of this user. A sealed one is opened with the passphrase of `KARS_PASSPHRASE_FILE`, or asked for on a terminal.
    static func ofUser(in home: KarsHome) throws(CommandFailure) -> SecretStore {
        do {
            let environment = EnvironmentReader.ofProcess().values
            if let file = environment["KARS_PASSPHRASE_FILE"], !file.isEmpty {
                return SecretStore(home: home.path, passphrase: try Passphrase.read(from: file))
            }
            let store = SecretStore(home: home.path)
            guard try store.isSealed() else { return store }
            return SecretStore(home: home.path, passphrase: try Passphrase.ask("Passphrase of \(home.secretsPath): "))
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.failed, "cannot open the secret store: \(error)")
        }
    }
}
