import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// `GET /kars/backup`: a copy of everything durable, consistent in itself, as the body. Only those may have it who may `get`
/// that path, which no role grants but `cluster-admin`: every Secret is in it.
struct BackupHandler: PathHandler {
    static let path = "/kars/backup"
    static let mediaType = "application/vnd.sqlite3"
    private static let chunkBytes = 256 << 10

    let store: ObjectStore
    /// Reads the copy; a disk may be slow.
    private let files = BlockingQueue(maxThreads: 1, maxWaiting: 8)

    init(store: ObjectStore) { self.store = store }

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse) async throws {
        let copy = try await copy()
        defer { close(copy) }
        try await response.start(HTTPResponseHead(status: 200, headers: ["content-type": Self.mediaType]))
        while true {
            let chunk = try await files.run { Self.nextPart(of: copy) }.get()
            guard !chunk.isEmpty else { break }
            try await response.write(chunk)
        }
        try await response.finish()
    }

    /// A descriptor of a copy that has no name any more, so that nothing is left of it whatever happens.
    private func copy() async throws -> CInt {
        let path = "\(store.config.directory)/backup.\(Identifier.uuid())"
        do throws(StoreOpenError) { try await store.backup(to: path) } catch {
            throw APIStatus.internalError("no backup could be made: \(error)")
        }
        defer { unlink(path) }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
        return descriptor
    }

    private static func nextPart(of descriptor: CInt) -> Result<[UInt8], FileError> {
        var failure: FileError?
        let bytes = [UInt8](unsafeUninitializedCapacity: chunkBytes) { buffer, count in
            var taken = -1
            repeat { taken = read(descriptor, buffer.baseAddress, buffer.count) } while taken < 0 && errno == EINTR
            if taken < 0 { failure = FileError("read", "the backup", errno: errno) }
            count = max(taken, 0)
        }
        return failure.map(Result.failure) ?? .success(bytes)
    }
}
