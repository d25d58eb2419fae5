import COpenSSL

/// SHA-256 (FIPS 180-4), in one call or in pieces. A value: a copy goes its own way, so a common prefix is hashed once.
///
/// This is the one digest that OpenSSL computes: it uses the processor's SHA instructions, libsodium 1.0.18 does not (300 bytes:
/// 0.18 µs against 0.96 µs). The low-level context is used rather than `EVP` because it lives on the stack.
package struct SHA256: Sendable {
    package static let byteCount = 32

    private var context = SHA256_CTX()

    package init() { SHA256_Init(&context) }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return }
        SHA256_Update(&context, bytes.baseAddress, bytes.count)
    }

    package mutating func update(_ bytes: [UInt8]) {
        SHA256_Update(&context, bytes, bytes.count)
    }

    package mutating func update(_ bytes: some Collection<UInt8>) {
        bytes.withContiguousBytes { update($0) }
    }

    /// The digest of everything so far. The value itself is unchanged and may take more.
    package func finalize() -> [UInt8] {
        var copy = context
        return Self.finish(&copy)
    }

    package static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var context = SHA256_CTX()
        SHA256_Init(&context)
        SHA256_Update(&context, bytes.baseAddress, bytes.count)
        return finish(&context)
    }

    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        var context = SHA256_CTX()
        SHA256_Init(&context)
        SHA256_Update(&context, bytes, bytes.count)
        return finish(&context)
    }

    package static func hash(_ bytes: some Collection<UInt8>) -> [UInt8] {
        bytes.withContiguousBytes { hash($0) }
    }

    private static func finish(_ context: inout SHA256_CTX) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            SHA256_Final(buffer.baseAddress, &context)
            count = byteCount
        }
    }
}

extension Collection<UInt8> {
    /// The elements as one buffer: in place where the collection has one, else a copy.
    func withContiguousBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withContiguousStorageIfAvailable { body(UnsafeRawBufferPointer($0)) }
            ?? Array(self).withUnsafeBytes(body)
    }
}
