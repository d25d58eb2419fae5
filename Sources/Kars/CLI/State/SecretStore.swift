import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The keys and tokens of this user, by name, in one file of mode 0600 under `KARS_HOME`.
///
/// With a passphrase the values are sealed (XChaCha20-Poly1305 under an Argon2id key); without one the file's mode is all that protects
/// them. Every change replaces the file whole, so a full disk or a power cut leaves the old one; a lock beside it orders writers of
/// several processes. Blocking, and slow with a passphrase (some 0.1 s): for commands, never for an event loop.
struct SecretStore: Sendable {
    /// Largest file read; a hundred long keys take 20 KiB.
    static let maxFileBytes = 1 << 20
    static let maxValueBytes = 64 << 10
    private static let version = 1
    private static let sealedContext = Array("kars secrets 1".utf8)

    let path: String
    private let passphrase: Secret<[UInt8]>?
    /// For new files; an existing file says its own.
    private let cost: Argon2id.Cost

    /// `home` is `KARS_HOME`, created with mode 0700 when something is first stored.
    init(home: String, passphrase: Secret<[UInt8]>? = nil, cost: Argon2id.Cost = .interactive) {
        path = "\(home)/secrets.json"
        self.passphrase = passphrase
        self.cost = cost
    }

    // MARK: Reading

    /// All names and values; empty when nothing was ever stored.
    func all() throws(SecretStoreError) -> [String: Secret<String>] { try load().values }

    func names() throws(SecretStoreError) -> [String] { try all().keys.sorted() }

    /// The value stored under `name`, else under its first variant in alphabetical order (`telegram-token.cloud`).
    func value(of name: String) throws(SecretStoreError) -> Secret<String>? {
        let all = try all()
        if let exact = all[name] { return exact }
        return all.keys.filter { $0.hasPrefix("\(name).") }.min().flatMap { all[$0] }
    }

    /// Whether the file needs a passphrase.
    func isSealed() throws(SecretStoreError) -> Bool {
        guard let document = try document() else { return false }
        return document["sealed"] != nil
    }

    // MARK: Changing

    func set(_ name: String, to value: Secret<String>) throws(SecretStoreError) {
        guard SecretName.isValid(name) else { throw .invalidName(name) }
        let text = SecretName.normalise(value.reveal(), for: name)
        guard !text.isEmpty, text.utf8.count <= Self.maxValueBytes else {
            throw .invalidValue(name, bytes: text.utf8.count, limit: Self.maxValueBytes)
        }
        try change { $0[name] = Secret(text) }
    }

    /// False when there was no such name.
    @discardableResult
    func remove(_ name: String) throws(SecretStoreError) -> Bool {
        var existed = false
        try change { existed = $0.removeValue(forKey: name) != nil }
        return existed
    }

    /// Seals the file under another passphrase, or with nil writes it open.
    func reseal(under new: Secret<[UInt8]>?) throws(SecretStoreError) {
        try withLock { () throws(SecretStoreError) in
            try store(try load().values, passphrase: new)
        }
    }

    private func change(_ edit: (inout [String: Secret<String>]) -> Void) throws(SecretStoreError) {
        try withLock { () throws(SecretStoreError) in
            var (values, isSealed) = try load()
            edit(&values)
            // Without a passphrase `load` refuses a sealed file, so a sealed file is never written open here.
            precondition(passphrase != nil || !isSealed, "a sealed file must stay sealed")
            try store(values, passphrase: passphrase)
        }
    }

    // MARK: The file

    private func load() throws(SecretStoreError) -> (values: [String: Secret<String>], isSealed: Bool) {
        guard let document = try document() else { return ([:], false) }
        if let secrets = document["secrets"] { return (try Self.values(in: secrets), false) }
        guard let sealed = document["sealed"]?.stringValue.flatMap({ Base64.decode($0) }),
            let salt = document["salt"]?.stringValue.flatMap({ Base64.decode($0) }),
            let passes = document["passes"]?.intValue, let memory = document["memoryBytes"]?.intValue
        else { throw .damaged(path, "neither open nor sealed secrets are in it") }
        guard let passphrase else { throw .passphraseNeeded(path) }
        let key = try Self.key(passphrase, salt: salt, cost: Argon2id.Cost(passes: passes, memoryBytes: memory))
        let plain: [UInt8]
        do throws(CryptoError) {
            plain = try AEAD.open(sealed, authenticating: Self.sealedContext, key: key)
        } catch {
            throw .wrongPassphrase(path)
        }
        guard let secrets = try? JSON(parsing: plain) else { throw .damaged(path, "what is sealed is not JSON") }
        return (try Self.values(in: secrets), true)
    }

    private func store(_ values: [String: Secret<String>], passphrase: Secret<[UInt8]>?) throws(SecretStoreError) {
        let secrets = JSON.object(JSONObject(values.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value.reveal())) }))
        var document: JSONObject = ["version": .int(Self.version)]
        if let passphrase {
            let salt = SecureRandom.bytes(Argon2id.saltBytes)
            let key = try Self.key(passphrase, salt: salt, cost: cost)
            document["salt"] = .string(Base64.encode(salt))
            document["passes"] = .int(cost.passes)
            document["memoryBytes"] = .int(cost.memoryBytes)
            document["sealed"] = .string(
                Base64.encode(AEAD.seal(secrets.encoded(), authenticating: Self.sealedContext, key: key)))
        } else {
            document["secrets"] = secrets
        }
        let bytes = JSON.object(document).encoded(pretty: true) + [10]
        guard bytes.count <= Self.maxFileBytes else { throw .full(path, limit: Self.maxFileBytes) }
        do throws(FileError) {
            try AtomicFile.write(bytes, to: path, mode: 0o600)
        } catch {
            throw .file(error)
        }
    }

    private func document() throws(SecretStoreError) -> JSON? {
        let bytes: [UInt8]
        do throws(FileError) {
            guard let present = try Files.readIfPresent(path, upTo: Self.maxFileBytes) else { return nil }
            bytes = present
        } catch {
            throw .file(error)
        }
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & 0o077 != 0 { throw .exposed(path, mode: UInt32(status.st_mode) & 0o777) }
        let document: JSON
        do throws(JSONError) {
            document = try JSON(parsing: bytes)
        } catch {
            // The error's own text may quote the file.
            throw .damaged(path, "it is not JSON, at line \(error.line)")
        }
        guard document["version"]?.intValue == Self.version else { throw .damaged(path, "its version is not \(Self.version)") }
        return document
    }

    private static func values(in secrets: JSON) throws(SecretStoreError) -> [String: Secret<String>] {
        guard let members = secrets.objectValue else { throw .damaged("secrets", "not an object") }
        var values: [String: Secret<String>] = [:]
        for (name, value) in members {
            guard let text = value.stringValue else { throw .damaged("secrets", "\(name) is not a string") }
            values[name] = Secret(text)
        }
        return values
    }

    private static func key(
        _ passphrase: Secret<[UInt8]>, salt: [UInt8], cost: Argon2id.Cost
    ) throws(SecretStoreError) -> AEAD.Key {
        do throws(CryptoError) {
            return try AEAD.Key(try Argon2id.derive(from: passphrase.reveal(), salt: salt, cost: cost))
        } catch {
            throw .cannotDerive(error)
        }
    }

    /// The lock is a file of its own, because the store's file is replaced at each change. Released by the kernel if we are killed.
    private func withLock<Result>(_ body: () throws(SecretStoreError) -> Result) throws(SecretStoreError) -> Result {
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        do throws(FileError) { try Files.createDirectories(directory, mode: 0o700) } catch { throw .file(error) }
        let lockPath = "\(path).lock"
        let descriptor = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .file(FileError("open", lockPath, errno: errno)) }
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw .file(FileError("flock", lockPath, errno: errno)) }
        }
        return try body()
    }
}

/// Why the secret store did not do what was asked. Never holds a value.
enum SecretStoreError: Error, Equatable, CustomStringConvertible {
    case passphraseNeeded(String)
    /// Or the file was altered: the two cannot be told apart.
    case wrongPassphrase(String)
    case damaged(String, String)
    /// Others may read the file.
    case exposed(String, mode: UInt32)
    case invalidName(String)
    case invalidValue(String, bytes: Int, limit: Int)
    case full(String, limit: Int)
    case cannotDerive(CryptoError)
    case file(FileError)

    var description: String {
        switch self {
        case .passphraseNeeded(let path): "\(path) is sealed: set KARS_PASSPHRASE_FILE or enter the passphrase"
        case .wrongPassphrase(let path): "\(path): the passphrase is wrong, or the file was altered"
        case .damaged(let path, let reason): "\(path): \(reason)"
        case .exposed(let path, let mode):
            "\(path) has mode 0\(String(mode, radix: 8)), so others may have read it: run `chmod 600 \(path)`"
        case .invalidName(let name):
            "\(name): a name has 1 to 64 lower-case letters, digits, hyphens and dots, and begins with a letter"
        case .invalidValue(let name, let bytes, let limit): "\(name): a value has 1 to \(limit) bytes, not \(bytes)"
        case .full(let path, let limit): "\(path) would be longer than \(limit) bytes"
        case .cannotDerive(let error): "the passphrase's key cannot be made: \(error)"
        case .file(let error): error.description
        }
    }
}
