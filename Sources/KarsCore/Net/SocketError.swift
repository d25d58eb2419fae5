#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A system call that failed, by name and error number.
package struct SocketError: Error, Equatable, CustomStringConvertible {
    package let call: String
    package let code: CInt

    package init(_ call: String, _ code: CInt) {
        self.call = call
        self.code = code
    }

    /// The peer takes nothing more.
    var isBrokenPipe: Bool { code == EPIPE }

    package var description: String {
        var text = [CChar](repeating: 0, count: 128)
        _ = strerror_r(code, &text, text.count)
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return bytes.isEmpty ? "\(call): error \(code)" : "\(call): \(String(decoding: bytes, as: UTF8.self))"
    }
}
