/// TLS as what stands between a stream and its socket.
final class TLSStreamCodec: StreamCodec {
    private let engine: TLSEngine

    init(_ engine: TLSEngine) { self.engine = engine }

    /// `serverName` is what the server's certificate must be for.
    static func client(_ context: TLSContext, serverName: Host, peer: String) throws(StreamError) -> TLSStreamCodec {
        do throws(TLSError) {
            return TLSStreamCodec(try TLSEngine(client: context, serverName: serverName, peer: peer))
        } catch {
            throw StreamError(.protectionFailed, error.description)
        }
    }

    static func server(_ context: TLSContext, peer: String) throws(StreamError) -> TLSStreamCodec {
        do throws(TLSError) {
            return TLSStreamCodec(try TLSEngine(server: context, peer: peer))
        } catch {
            throw StreamError(.protectionFailed, error.description)
        }
    }

    func receive(_ ciphertext: UnsafeRawBufferPointer) throws(StreamError) {
        do throws(TLSError) { try engine.receive(ciphertext) } catch { throw Self.translate(error) }
    }

    func receiveEnd() throws(StreamError) {
        do throws(TLSError) { try engine.receiveEnd() } catch { throw Self.translate(error) }
    }

    func decode(into buffer: UnsafeMutableRawBufferPointer) throws(StreamError) -> StreamDecoded {
        do throws(TLSError) {
            switch try engine.decrypt(into: buffer) {
            case .bytes(let count): return .bytes(count)
            case .needMore: return .needMore
            case .closed: return .end
            }
        } catch {
            throw Self.translate(error)
        }
    }

    func encode(_ plaintext: UnsafeRawBufferPointer) throws(StreamError) {
        do throws(TLSError) { try engine.encrypt(plaintext) } catch { throw Self.translate(error) }
    }

    /// As `TLSEngine.peerCertificate`.
    var peerCertificate: TLSCertificate? { engine.peerCertificate }

    func close() { engine.close() }
    var isReady: Bool { engine.isHandshakeComplete }
    var hasOutgoing: Bool { engine.hasOutgoing }
    func takeOutgoing() -> [UInt8] { engine.takeOutgoing() }

    /// A stream that ends without a notification has ended too early, whatever ended it.
    private static func translate(_ error: TLSError) -> StreamError {
        StreamError(error.code == .closedWithoutNotify ? .disconnected : .protectionFailed, error.description)
    }
}

extension ByteStream {
    /// Begins TLS as the client, before anything else was sent; the certificate must be for `serverName`.
    package func startTLS(client context: TLSContext, serverName: Host, within limit: Duration) async throws(StreamError) {
        try await protect(TLSStreamCodec.client(context, serverName: serverName, peer: serverName.description), within: limit)
    }

    /// Begins TLS as the server, before anything was read.
    package func startTLS(server context: TLSContext, within limit: Duration) async throws(StreamError) {
        try await protect(TLSStreamCodec.server(context, peer: peer?.description ?? ""), within: limit)
    }
}
