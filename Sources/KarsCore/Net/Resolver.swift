#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Looks names up through the system's resolver, off the loops.
package final class Resolver: Sendable {
    package enum Failure: Error, Equatable, CustomStringConvertible {
        case notFound(String)
        /// The resolver's own words; trying again later may help.
        case failed(String)
        case tooManyWaiting(limit: Int)

        package var description: String {
            switch self {
            case .notFound(let name): "no address for \(name)"
            case .failed(let reason): reason
            case .tooManyWaiting(let limit): "more than \(limit) names are being looked up"
            }
        }
    }

    /// One for the process: the limits then hold for all its parts together.
    package static let shared = Resolver()

    private let queue: BlockingQueue

    package init(maxThreads: Int = 4, maxWaiting: Int = 256) {
        queue = BlockingQueue(maxThreads: maxThreads, maxWaiting: maxWaiting)
    }

    /// Addresses in the order in which they should be tried (RFC 6724), without duplicates. An address is its own answer.
    package func resolve(_ host: String) async throws(Failure) -> [IPAddress] {
        if let address = IPAddress(host) { return [address] }
        let found: Result<[IPAddress], Failure>
        do throws(BlockingQueue.Full) { found = try await queue.run { Self.look(up: host) } } catch {
            throw .tooManyWaiting(limit: error.limit)
        }
        return try found.get()
    }

    private static func look(up host: String) -> Result<[IPAddress], Failure> {
        var hints = addrinfo()
        hints.ai_socktype = Socket.streamType
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else {
            let isAbsent = code == EAI_NONAME
            return .failure(isAbsent ? .notFound(host) : .failed("\(host): \(String(cString: gai_strerror(code)))"))
        }
        defer { freeaddrinfo(list) }
        var addresses: [IPAddress] = []
        var entry = list
        while let current = entry?.pointee {
            entry = current.ai_next
            guard let pointer = current.ai_addr, Int(current.ai_addrlen) <= MemoryLayout<sockaddr_storage>.size else { continue }
            var storage = sockaddr_storage()
            withUnsafeMutableBytes(of: &storage) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: Int(current.ai_addrlen)))
            }
            guard let address = SocketAddress(storage)?.ip, !addresses.contains(address) else { continue }
            addresses.append(address)
        }
        return addresses.isEmpty ? .failure(.notFound(host)) : .success(addresses)
    }
}
