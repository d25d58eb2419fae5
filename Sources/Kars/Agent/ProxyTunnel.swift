import Dispatch
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Asks the router's egress proxy for a connection (`CONNECT`, RFC 9110 §9.3.6). Blocking calls on a queue of their own: the
/// proxy is on loopback and answers at once, or says no.
struct ProxyTunnel: Sendable {
    struct Refused: Error, CustomStringConvertible {
        let description: String
    }

    let proxy: SocketAddress

    private static let queue = DispatchQueue(label: "kars.agent.tunnel", attributes: .concurrent)
    private static let maxHeadBytes = 16 * 1024
    private static let maxBodyBytes = 16 * 1024
    /// Longest wait for the proxy, which resolves and connects meanwhile.
    private static let timeoutSeconds = 30

    /// A connected socket whose next byte goes to `host:port`; the caller closes it.
    func open(host: String, port: UInt16) async throws -> CInt {
        try await withCheckedThrowingContinuation { continuation in
            Self.queue.async { continuation.resume(with: Result { try openBlocking(host: host, port: port) }) }
        }
    }

    private func openBlocking(host: String, port: UInt16) throws -> CInt {
        let descriptor = socket(proxy.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw FileError("socket", "\(proxy)", errno: errno) }
        var isOpen = false
        defer { if !isOpen { close(descriptor) } }
        var limit = timeval(tv_sec: Self.timeoutSeconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        guard proxy.withSockaddr({ Glibc.connect(descriptor, $0, $1) }) == 0 else {
            throw FileError("connect", "\(proxy)", errno: errno)
        }
        let authority = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        let request = Array("CONNECT \(authority) HTTP/1.1\r\nHost: \(authority)\r\n\r\n".utf8)
        guard write(descriptor, request, request.count) == request.count else {
            throw FileError("write", "\(proxy)", errno: errno)
        }
        let head = try readHead(descriptor)
        if head.status == 200 {
            isOpen = true
            return descriptor
        }
        let body = readToEnd(descriptor)
        var reason = "the egress proxy answered \(head.status)"
        // Text bodies say no more than the status.
        if let message = (try? JSON(parsing: body))?["error"]?["message"]?.stringValue { reason = message }
        throw Refused(description: "refused by the egress policy: \(reason)")
    }

    /// Byte by byte, so that nothing behind the head is taken from the tunnel.
    private func readHead(_ descriptor: CInt) throws -> (status: Int, text: String) {
        var head: [UInt8] = []
        var byte: UInt8 = 0
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            let count = read(descriptor, &byte, 1)
            if count < 0 && errno == EINTR { continue }
            guard count == 1, head.count < Self.maxHeadBytes else {
                throw Refused(description: "the egress proxy gave no answer")
            }
            head.append(byte)
        }
        let text = String(decoding: head, as: UTF8.self)
        let words = text.split(separator: " ", maxSplits: 2)
        guard words.count > 1, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw Refused(description: "the egress proxy did not answer in HTTP")
        }
        return (status, text)
    }

    private func readToEnd(_ descriptor: CInt) -> [UInt8] {
        var body: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while body.count < Self.maxBodyBytes {
            let count = read(descriptor, &chunk, chunk.count)
            guard count > 0 else { break }
            body += chunk[..<count]
        }
        return body
    }
}
