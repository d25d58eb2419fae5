import KarsCore

extension Fuzz {
    /// First byte: where to split. The rest: what a stranger sends to a TLS server instead of a handshake. However it is cut, it
    /// ends in the same failure or none, no plaintext comes of it, and what failed stays failed.
    static let tlsTarget = Target(name: "tls") { input in
        guard let first = input.first else { return }
        let bytes = Array(input.dropFirst())
        let cut = bytes.isEmpty ? 0 : Int(first) % bytes.count
        let whole = outcome(ofHandshake: [bytes])
        let parts = outcome(ofHandshake: [Array(bytes[..<cut]), Array(bytes[cut...])])
        precondition(whole == parts, "a split at \(cut) changed the outcome")
    }

    private static let serverContext: TLSContext? = {
        let request = CertificateRequest(
            commonName: "fuzz", dnsNames: ["fuzz.test"], now: UTCTime(seconds: 1_800_000_000), validFor: .seconds(86_400))
        guard let issued = try? SelfSigned.issue(request) else { return nil }
        return try? TLSContext.server(issued.identity, clientAuthorities: issued.certificatePEM, alpn: ["http/1.1"])
    }()

    /// How the server's side failed; nil when it still waits for more.
    private static func outcome(ofHandshake pieces: [[UInt8]]) -> TLSError.Code? {
        guard let context = serverContext, let engine = try? TLSEngine(server: context, peer: "fuzz") else {
            preconditionFailure("no server to attack")
        }
        var failure: TLSError.Code?
        for piece in pieces {
            do throws(TLSError) { try engine.receive(piece) } catch {
                precondition(failure == nil || failure == error.code, "a failure became another one")
                failure = error.code
            }
            _ = engine.takeOutgoing()
        }
        precondition(!engine.isHandshakeComplete, "a handshake was completed without its secrets")
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 16)
        defer { buffer.deallocate() }
        do throws(TLSError) {
            let read = try engine.decrypt(into: buffer)
            precondition(failure == nil && read == .needMore, "plaintext without a handshake")
        } catch {
            precondition(error.code == failure, "decrypting failed otherwise than receiving")
        }
        return failure
    }
}
