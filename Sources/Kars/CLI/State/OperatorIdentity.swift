import KarsCore

/// What a router on this machine is known by, its private key included: made with the sandbox, kept beside it with mode 0600.
struct OperatorIdentity: Sendable {
    var access: OperatorAccess
    var privateKeyPEM: Secret<[UInt8]>

    static func issue() throws -> OperatorIdentity {
        let name = OperatorAccess.serverName
        let issued = try SelfSigned.issue(
            CertificateRequest(commonName: name, dnsNames: [name], now: .now(), validFor: .seconds(3_650 * 86_400)))
        return OperatorIdentity(
            access: OperatorAccess(
                token: Secret(Hex.encode(SecureRandom.bytes(32))), certificatePEM: issued.certificatePEM),
            privateKeyPEM: issued.privateKeyPEM)
    }

    static func load(from directory: SandboxDirectory) throws(CommandFailure) -> OperatorIdentity {
        do {
            let json = try JSON(parsing: Files.read(directory.operatorPath, upTo: 64 * 1024))
            guard let token = json["token"]?.stringValue, let certificate = json["certificate"]?.stringValue,
                let key = json["privateKey"]?.stringValue
            else { throw CommandFailure(.failed, "\(directory.operatorPath) is incomplete") }
            return OperatorIdentity(
                access: OperatorAccess(token: Secret(token), certificatePEM: Array(certificate.utf8)),
                privateKeyPEM: Secret(Array(key.utf8)))
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.failed, "cannot read \(directory.operatorPath): \(error)")
        }
    }

    func save(to directory: SandboxDirectory) throws {
        let json: JSON = [
            "token": .string(access.token.reveal()),
            "certificate": .string(String(decoding: access.certificatePEM, as: UTF8.self)),
            "privateKey": .string(String(decoding: privateKeyPEM.reveal(), as: UTF8.self)),
        ]
        try AtomicFile.write(json.encoded(), to: directory.operatorPath, mode: 0o600)
    }
}
