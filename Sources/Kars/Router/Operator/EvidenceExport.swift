import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The evidence files of this router for whoever has its token, a piece at a time: records, signed heads and the public key.
///
/// What is handed out is what anybody needs who verifies without trusting this router. The private key has another place, and names
/// that are not evidence are not there.
struct EvidenceExport: Sendable {
    /// Bytes of one piece.
    static let maxPartBytes = 512 << 10
    /// Disks may be slow, and a loop must not wait for them.
    private static let disk = BlockingQueue(maxThreads: 1, maxWaiting: 64)

    let directory: String

    /// Names and sizes. Heads come before the records they sign: a copy that is made in this order never has a head without its records.
    func listing() async throws(Refusal) -> JSON {
        let directory = directory
        let files = try await Self.onDisk { () throws(FileError) in
            try Files.entries(of: directory).filter(Self.isEvidence).sorted { Self.order($0) < Self.order($1) }.map { name in
                (name: name, size: Files.size(of: "\(directory)/\(name)") ?? 0)
            }
        }
        return ["files": .array(files.map { ["name": .string($0.name), "size": .int($0.size)] })]
    }

    /// At most `maxPartBytes` from `offset`; empty at the end of what is written.
    func part(of name: String, from offset: Int) async throws(Refusal) -> JSON {
        guard Self.isEvidence(name) else { throw .noSuchRoute("there is no evidence file of that name") }
        guard offset >= 0 else { throw .invalidRequest("offset must be a whole number, zero or more") }
        let path = "\(directory)/\(name)"
        let bytes = try await Self.onDisk { () throws(FileError) in try Self.read(path, from: offset) }
        return ["name": .string(name), "offset": .int(offset), "data": .string(Base64.encode(bytes))]
    }

    /// Records, heads, the public key.
    private static func isEvidence(_ name: String) -> Bool {
        if name == "head.json" || name == "audit.pub" || EvidenceFiles.logNumber(name) != nil { return true }
        return name.hasSuffix(".heads") && EvidenceFiles.logNumber(String(name.dropLast(6)) + ".jsonl") != nil
    }

    private static func order(_ name: String) -> (Int, String) { (name.hasSuffix(".jsonl") ? 1 : 0, name) }

    private static func read(_ path: String, from offset: Int) throws(FileError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: maxPartBytes)
        while true {
            let count = pread(descriptor, &bytes, bytes.count, off_t(offset))
            if count >= 0 { return Array(bytes[..<count]) }
            guard errno == EINTR else { throw FileError("read", path, errno: errno) }
        }
    }

    private static func onDisk<Value: Sendable>(
        _ body: @escaping @Sendable () throws(FileError) -> Value
    ) async throws(Refusal) -> Value {
        let result: Result<Value, FileError>
        do throws(BlockingQueue.Full) {
            result = try await disk.run { Result { () throws(FileError) in try body() } }
        } catch {
            throw .overloaded
        }
        do throws(FileError) { return try result.get() } catch { throw .evidenceUnavailable("its files cannot be read") }
    }
}
