import ArgumentParser
import KarsCore

struct CredentialsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "credentials", abstract: "Keep the secrets that routers use on behalf of agents.",
        discussion: """
            Secrets are read from a prompt, standard input or a file, and handed to the router of a sandbox only. With
            KARS_PASSPHRASE_FILE set, the store is encrypted at rest.

            Examples:
              kars credentials set openai-api-key                 # asks, without echo
              kars credentials set openai-api-key < key.txt
              kars credentials set azure-openai-key --file key.txt
              kars credentials list
              kars credentials remove openai-api-key
            """,
        subcommands: [Set.self, List.self, Remove.self])

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Store a secret.")
        @Argument(help: "Its key, for instance openai-api-key.") var key: String
        @Option(help: "Read the secret from this file.") var file: String?

        func run() throws {
            guard SecretName.isValid(key) else { throw CommandFailure(.usage, "\(SecretStoreError.invalidName(key))") }
            let store = try SecretStore.ofUser(in: KarsHome.open())
            let secret = try file.map { try SecretInput.read(file: $0) } ?? SecretInput.read(prompt: "\(key): ")
            try store.set(key, to: secret)
            Terminal.note("stored \(key)")
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The keys that are stored, their values masked.")
        @OptionGroup var output: OutputOptions

        func run() throws {
            let entries = try SecretStore.ofUser(in: KarsHome.open()).all().sorted { $0.key < $1.key }
                .map { (key: $0.key, masked: SecretName.mask($0.value)) }
            output.print(.array(entries.map { ["key": .string($0.key), "value": .string($0.masked)] })) {
                guard !entries.isEmpty else { return "no secret is stored" }
                var table = Table(["KEY", "VALUE"])
                for entry in entries { table.add([entry.key, entry.masked]) }
                return table.text
            }
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Forget a secret.")
        @Argument(help: "Its key.") var key: String

        func run() throws {
            let store = try SecretStore.ofUser(in: KarsHome.open())
            guard try store.remove(key) else {
                throw CommandFailure(
                    .notFound, "no secret '\(key)' is stored", advice: "`kars credentials list` shows those that are.")
            }
            Terminal.note("removed \(key)")
        }
    }
}
