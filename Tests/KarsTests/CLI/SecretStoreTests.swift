import KarsCore
import KarsTesting
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct `Secret store` {
    /// As cheap as Argon2id can be: the real cost is another test's business.
    private static let cheap = Argon2id.Cost(passes: 1, memoryBytes: 8192)
    private static let passphrase = Secret(Array("correct horse".utf8))

    private func withStore(passphrase: Secret<[UInt8]>? = nil, _ body: (SecretStore) throws -> Void) throws {
        try withTemporaryDirectory { try body(SecretStore(home: "\($0)/home", passphrase: passphrase, cost: Self.cheap)) }
    }

    private func again(_ store: SecretStore, passphrase: Secret<[UInt8]>?) -> SecretStore {
        SecretStore(home: String(store.path.dropLast("/secrets.json".count)), passphrase: passphrase, cost: Self.cheap)
    }

    private func revealed(_ store: SecretStore) throws -> [String: String] { try store.all().mapValues { $0.reveal() } }

    @Test(arguments: [false, true])
    func `what is set can be read, replaced and removed`(isSealed: Bool) throws {
        try withStore(passphrase: isSealed ? Self.passphrase : nil) { store in
            #expect(try store.names() == [])
            #expect(try !store.isSealed())
            try store.set("openai-api-key", to: Secret("sk-1"))
            try store.set("slack-token", to: Secret("xoxb \"é\" \\"))
            try store.set("openai-api-key", to: Secret("sk-2"))
            #expect(try revealed(store) == ["openai-api-key": "sk-2", "slack-token": "xoxb \"é\" \\"])
            #expect(try store.isSealed() == isSealed)
            #expect(try store.remove("slack-token"))
            #expect(try !store.remove("slack-token"))
            #expect(try store.names() == ["openai-api-key"])
        }
    }

    @Test func `the file is for its owner only and says nothing when sealed`() throws {
        try withStore(passphrase: Self.passphrase) { store in
            try store.set("openai-api-key", to: Secret("sk-very-secret"))
            var status = stat()
            #expect(stat(store.path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
            let text = String(decoding: try Files.read(store.path, upTo: 1 << 20), as: UTF8.self)
            #expect(!text.contains("sk-very") && !text.contains("openai"))
        }
    }

    @Test func `a file that others may read is refused, with the command that mends it`() throws {
        try withStore { store in
            try store.set("openai-api-key", to: Secret("sk-1"))
            chmod(store.path, 0o640)
            #expect(throws: SecretStoreError.exposed(store.path, mode: 0o640)) { try store.all() }
            #expect("\(SecretStoreError.exposed(store.path, mode: 0o640))".contains("0640"))
        }
    }

    @Test func `a sealed file opens with its passphrase and no other`() throws {
        try withStore(passphrase: Self.passphrase) { store in
            try store.set("openai-api-key", to: Secret("sk-1"))
            let wrong = again(store, passphrase: Secret(Array("wrong".utf8)))
            #expect(throws: SecretStoreError.wrongPassphrase(store.path)) { try wrong.all() }
            #expect(throws: SecretStoreError.wrongPassphrase(store.path)) { try wrong.set("a", to: Secret("b")) }
            let without = again(store, passphrase: nil)
            #expect(throws: SecretStoreError.passphraseNeeded(store.path)) { try without.all() }
            #expect(throws: SecretStoreError.passphraseNeeded(store.path)) { try without.set("a", to: Secret("b")) }
            #expect(throws: SecretStoreError.passphraseNeeded(store.path)) { try without.remove("a") }
            #expect(try revealed(store) == ["openai-api-key": "sk-1"])
        }
    }

    @Test func `an open file is sealed by the first change with a passphrase, and opened only on demand`() throws {
        try withStore { open in
            try open.set("openai-api-key", to: Secret("sk-1"))
            let sealed = again(open, passphrase: Self.passphrase)
            #expect(try revealed(sealed) == ["openai-api-key": "sk-1"])
            try sealed.set("slack-token", to: Secret("x"))
            #expect(try open.isSealed())
            let other = Secret(Array("battery staple".utf8))
            try sealed.reseal(under: other)
            #expect(throws: SecretStoreError.wrongPassphrase(open.path)) { try sealed.all() }
            try again(open, passphrase: other).reseal(under: nil)
            #expect(try revealed(open) == ["openai-api-key": "sk-1", "slack-token": "x"])
        }
    }

    @Test func `every altered byte of a sealed file is noticed`() throws {
        try withStore(passphrase: Self.passphrase) { store in
            try store.set("openai-api-key", to: Secret("sk-1"))
            let good = try Files.read(store.path, upTo: 1 << 20)
            for position in good.indices {
                var altered = good
                altered[position] = altered[position] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
                try AtomicFile.write(altered, to: store.path, mode: 0o600)
                let read = try? store.all()
                #expect(read == nil, "byte \(position)")
            }
        }
    }

    @Test(arguments: [
        "", "{", "[]", "null", "{}", #"{"version":1}"#, #"{"version":2,"secrets":{}}"#, #"{"version":1,"secrets":[]}"#,
        #"{"version":1,"secrets":{"a":1}}"#, #"{"version":1,"sealed":"AA==","salt":"","passes":1,"memoryBytes":8192}"#,
        #"{"version":1,"sealed":"AA==","salt":"AAAAAAAAAAAAAAAAAAAAAA==","passes":1000000,"memoryBytes":8192}"#,
        #"{"version":1,"sealed":"AA==","salt":"AAAAAAAAAAAAAAAAAAAAAA==","passes":1,"memoryBytes":99999999999}"#,
        #"{"version":1,"secrets":{"a":"x","a":"y"}}"#,
    ])
    func `a damaged file is refused and left as it is`(text: String) throws {
        try withStore(passphrase: Self.passphrase) { store in
            try store.set("a", to: Secret("b"))
            try AtomicFile.write(Array(text.utf8), to: store.path, mode: 0o600)
            #expect(throws: SecretStoreError.self) { try store.all() }
            #expect(throws: SecretStoreError.self) { try store.set("a", to: Secret("c")) }
            #expect(try Files.read(store.path, upTo: 1 << 20) == Array(text.utf8))
        }
    }

    @Test func `writers at the same time lose nothing`() async throws {
        try await withTemporaryDirectory { home in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        try SecretStore(home: home, cost: Self.cheap).set("key-\(number)", to: Secret("value \(number)"))
                    }
                }
                try await group.waitForAll()
            }
            #expect(try SecretStore(home: home).names().count == 20)
        }
    }

    @Test(.enabled(if: geteuid() == 0, "a full disk is made of a small tmpfs, which takes root"))
    func `a full disk leaves the old file`() throws {
        try withTemporaryDirectory { directory in
            guard mount("tmpfs", directory, "tmpfs", 0, "size=16k,mode=0700") == 0 else {
                // A container without CAP_SYS_ADMIN.
                print("skipped: mount: \(String(cString: strerror(errno)))")
                return
            }
            defer { umount2(directory, CInt(MNT_DETACH)) }
            let store = SecretStore(home: directory)
            try store.set("openai-api-key", to: Secret("sk-1"))
            let large = Secret(String(repeating: "x", count: 30_000))
            #expect {
                try store.set("slack-token", to: large)
            } throws: { error in
                guard case .file(let failure) = error as? SecretStoreError else { return false }
                return failure.errno == ENOSPC
            }
            #expect(try revealed(store) == ["openai-api-key": "sk-1"])
            #expect(try Files.entries(of: directory).sorted() == ["secrets.json", "secrets.json.lock"])
        }
    }

    @Test func `limits hold`() throws {
        try withStore { store in
            for name in ["", "A", "a b", "é", "../x", ".a", "1a", String(repeating: "a", count: 65)] {
                #expect(throws: SecretStoreError.invalidName(name)) { try store.set(name, to: Secret("x")) }
            }
            for value in ["", " \n", String(repeating: "x", count: SecretStore.maxValueBytes + 1)] {
                #expect(throws: SecretStoreError.self) { try store.set("a", to: Secret(value)) }
            }
            #expect(!Files.exists(store.path))
        }
    }
}

@Suite struct `Secret names` {
    @Test func `values lose what people paste around them`() {
        #expect(SecretName.normalise("  sk-1\n", for: "openai-api-key") == "sk-1")
        #expect(SecretName.normalise("bot123:abc", for: "telegram-token") == "123:abc")
        #expect(SecretName.normalise("bot123:abc", for: "telegram-token.cloud") == "123:abc")
        #expect(SecretName.normalise("bot123", for: "telegram-allow-from") == "bot123")
    }

    @Test(arguments: [("12345678", "••••"), ("", "••••"), ("123456789", "••••6789"), ("sk-abcdéfgh", "••••éfgh")])
    func `a mask shows four characters of long values only`(value: String, mask: String) {
        #expect(SecretName.mask(Secret(value)) == mask)
    }

    @Test func `what is given wins over the store, the store over the environment, the exact name over its variants`() throws {
        try withTemporaryDirectory { home in
            let store = SecretStore(home: home)
            let environment = ["TELEGRAM_BOT_TOKEN": "bot-from-environment", "SLACK_BOT_TOKEN": ""]
            func resolved(given: String? = nil) throws -> String? {
                try SecretName.resolve("telegram-token", given: given.map { Secret($0) }, in: store, environment: environment)?
                    .reveal()
            }
            #expect(try resolved() == "-from-environment")
            try store.set("telegram-token.cloud", to: Secret("cloud"))
            try store.set("telegram-token.b", to: Secret("b"))
            #expect(try resolved() == "b")
            try store.set("telegram-token", to: Secret("exact"))
            #expect(try resolved() == "exact")
            #expect(try resolved(given: " botgiven ") == "given")
            #expect(try SecretName.resolve("slack-token", given: nil, in: store, environment: environment) == nil)
        }
    }

    @Test func `a passphrase file gives its first line`() throws {
        try withTemporaryDirectory { directory in
            try AtomicFile.write(Array("open sesame\r\nsecond line\n".utf8), to: "\(directory)/p", mode: 0o600)
            #expect(try Passphrase.read(from: "\(directory)/p").reveal() == Array("open sesame".utf8))
            try AtomicFile.write([10], to: "\(directory)/p", mode: 0o600)
            #expect(throws: PassphraseError.empty("\(directory)/p")) { try Passphrase.read(from: "\(directory)/p") }
            #expect(throws: PassphraseError.self) { try Passphrase.read(from: "\(directory)/none") }
        }
    }
}
