/// What stands between a stream and its socket: TLS, as bytes in and bytes out. Confined to one loop.
///
/// After every call, failed ones included, `takeOutgoing` may have bytes for the network.
protocol StreamCodec: AnyObject {
    /// Bytes from the network.
    func receive(_ ciphertext: UnsafeRawBufferPointer) throws(StreamError)
    /// The network has ended.
    func receiveEnd() throws(StreamError)
    func decode(into buffer: UnsafeMutableRawBufferPointer) throws(StreamError) -> StreamDecoded
    /// Only once `isReady`.
    func encode(_ plaintext: UnsafeRawBufferPointer) throws(StreamError)
    /// Announces our end.
    func close()
    /// Whether plaintext can be sent: the handshake is complete.
    var isReady: Bool { get }
    var hasOutgoing: Bool { get }
    func takeOutgoing() -> [UInt8]
}

enum StreamDecoded: Equatable {
    case bytes(Int)
    case needMore
    /// The peer announced its end.
    case end
}
