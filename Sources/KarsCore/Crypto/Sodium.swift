import CSodium

/// The library's one-time start: every door into libsodium passes here first.
enum Sodium {
    /// Picks the implementations for this processor and opens the random source; without it nothing here may run.
    static let isReady: Bool = sodium_init() >= 0

    static func start() { precondition(isReady, "libsodium cannot start: no source of randomness") }
}

/// Why a cryptographic operation was refused. Holds lengths, never material.
package enum CryptoError: Error, Equatable, CustomStringConvertible {
    case wrongLength(of: String, expected: Int, got: Int)
    /// The key, the nonce, the authenticated data or the text itself is not what was sealed.
    case authenticationFailed
    /// The peer's public key has small order: the shared secret would be known to anyone.
    case unsafePublicKey
    case outOfMemory(bytes: Int)
    case parameterOutOfRange(String)

    package var description: String {
        switch self {
        case .wrongLength(let what, let expected, let got): "\(what): expected \(expected) bytes, got \(got)"
        case .authenticationFailed: "authentication failed: wrong key or altered data"
        case .unsafePublicKey: "the public key is not safe to agree on a secret with"
        case .outOfMemory(let bytes): "cannot allocate \(bytes) bytes"
        case .parameterOutOfRange(let what): "out of range: \(what)"
        }
    }
}

/// Bytes that nobody can guess, from the kernel's source.
package struct SecureRandom: RandomNumberGenerator, Sendable {
    package init() { Sodium.start() }

    package static func bytes(_ count: Int) -> [UInt8] {
        Sodium.start()
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            randombytes_buf(UnsafeMutableRawBufferPointer(buffer).bytes, count)
            initialized = count
        }
    }

    package mutating func next() -> UInt64 {
        var value: UInt64 = 0
        randombytes_buf(&value, 8)
        return value
    }
}

package enum ConstantTime {
    /// Whether both hold the same bytes, in time that depends on the lengths only. Unequal lengths are unequal at once.
    package static func equal(_ a: some Collection<UInt8>, _ b: some Collection<UInt8>) -> Bool {
        a.withContiguousBytes { a in
            b.withContiguousBytes { b in
                guard a.count == b.count else { return false }
                guard let first = a.baseAddress, let second = b.baseAddress, a.count > 0 else { return true }
                return sodium_memcmp(first, second, a.count) == 0
            }
        }
    }
}

// C wants pointers that are never null, also to nothing.
private enum Nothing {
    /// Read or written by no one: every use has a length of zero.
    nonisolated(unsafe) static let address = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
}

extension UnsafeRawBufferPointer {
    var bytes: UnsafePointer<UInt8> { (baseAddress ?? UnsafeRawPointer(Nothing.address)).assumingMemoryBound(to: UInt8.self) }
}

extension UnsafeMutableRawBufferPointer {
    var bytes: UnsafeMutablePointer<UInt8> { (baseAddress ?? Nothing.address).assumingMemoryBound(to: UInt8.self) }
}
