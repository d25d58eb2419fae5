extension TrustGraph {
    package static let graphFile = "graph.json"
    /// Clocks of those who sign may be this far ahead of ours, in seconds.
    package static let maxClockSkew = 300

    /// What of a graph holds at a moment.
    package struct Compiled: Equatable, Sendable {
        package var vertices: [Vertex] = []
        package var edges: [Edge] = []
        /// Why each of the others does not, with its place in the specification.
        package var rejected: [(index: Int, reason: Rejection)] = []
        /// When an edge begins or ends to hold next, in Unix seconds; nil when none does.
        package var nextTurn: Int?

        package static func == (a: Compiled, b: Compiled) -> Bool {
            a.vertices.map(\.json) == b.vertices.map(\.json) && a.edges.map(\.json) == b.edges.map(\.json)
                && a.rejected.map(\.index) == b.rejected.map(\.index) && a.rejected.map(\.reason) == b.rejected.map(\.reason)
                && a.nextTurn == b.nextTurn
        }
    }

    package enum Rejection: String, Sendable, CaseIterable {
        case unknownFrom = "unknown_from_vertex"
        case unknownTo = "unknown_to_vertex"
        case scoreOutOfRange = "score_out_of_range"
        case invertedExpiry = "inverted_expiry"
        case controlCharacter = "control_character"
        case notYetIssued = "issued_in_future"
        case expired
        case signatureDecodeError = "signature_decode_error"
        case signatureLengthError = "signature_length_error"
        case signatureMismatch = "signature_mismatch"
    }
}

extension TrustGraph.Spec {
    /// Judges every vertex and edge at `now` (Unix seconds).
    package func judged(at now: Int) -> TrustGraph.Compiled {
        var compiled = TrustGraph.Compiled()
        var keys: [String: Ed25519.PublicKey] = [:]
        for vertex in vertices {
            guard keys[vertex.id] == nil, !vertex.id.hasControlCharacter,
                let bytes = Base64.decodeURL(vertex.publicKeyB64u), let key = try? Ed25519.PublicKey(rawBytes: bytes)
            else { continue }
            keys[vertex.id] = key
            compiled.vertices.append(vertex)
        }
        for (index, edge) in edges.enumerated() {
            if let reason = edge.rejection(keys: keys, now: now) {
                compiled.rejected.append((index, reason))
                if reason == .notYetIssued { compiled.turn(at: edge.issuedAt - TrustGraph.maxClockSkew) }
            } else {
                compiled.edges.append(edge)
                if let end = edge.notAfter { compiled.turn(at: end + 1) }
            }
        }
        return compiled
    }
}

extension TrustGraph.Compiled {
    fileprivate mutating func turn(at time: Int) { nextTurn = min(nextTurn ?? time, time) }

    /// The file `graph.json` (spec/controller 9), pretty, with the hash of vertices and edges in it.
    package func policy(inputEdges: Int) throws(CompileFault) -> CompiledFiles {
        let json = try document(vertices, edges, inputEdges: inputEdges)
        var policy = CompiledFiles(
            files: [TrustGraph.graphFile: String(decoding: json.encoded(pretty: true), as: UTF8.self)], digest: nil,
            versionHash: json["versionHash"]?.stringValue ?? "",
            warnings: rejected.map { "spec.edges[\($0.index)]: \($0.reason.rawValue)" })
        policy.counts = ["vertices": vertices.count, "edges": edges.count, "rejected": rejected.count]
        policy.nextTurn = nextTurn.map { UTCTime(seconds: Int64($0)) }
        return policy
    }

    /// The part that the router of `sandbox` needs: edges by which the sandbox vouches for others, and those they name.
    package func slice(for sandbox: String) throws(CompileFault) -> JSON {
        let edges = edges.filter { $0.from == sandbox && $0.to != sandbox }
        let named = Set(edges.flatMap { [$0.from, $0.to] })
        return try document(vertices.filter { named.contains($0.id) }, edges, inputEdges: edges.count)
    }

    private func document(
        _ vertices: [TrustGraph.Vertex], _ edges: [TrustGraph.Edge], inputEdges: Int
    ) throws(CompileFault) -> JSON {
        let content: JSON = ["edges": edges.json, "vertices": vertices.json]
        let hash = Hex.encode(SHA256.hash(try CompiledFiles.canonical(content)).prefix(8))
        return [
            "vertices": vertices.json, "edges": edges.json, "versionHash": .string(hash), "inputEdgeCount": .int(inputEdges),
        ]
    }
}

extension TrustGraph.Edge {
    /// What the one who vouches signs (crds 10). Neither name holds a line end, so no two edges have the same text.
    package var signedText: String {
        "trustgraph.v1\n\(from)\n\(to)\n\(score)\n\(issuedAt)\n\(notAfter.map { "\($0)" } ?? "")\n"
    }

    func rejection(keys: [String: Ed25519.PublicKey], now: Int) -> TrustGraph.Rejection? {
        guard !from.hasControlCharacter, !to.hasControlCharacter else { return .controlCharacter }
        guard let key = keys[from] else { return .unknownFrom }
        guard keys[to] != nil else { return .unknownTo }
        guard (0...1000).contains(score) else { return .scoreOutOfRange }
        if let notAfter, notAfter < issuedAt { return .invertedExpiry }
        guard let bytes = Base64.decodeURL(signature) else { return .signatureDecodeError }
        guard bytes.count == Ed25519.signatureBytes else { return .signatureLengthError }
        guard key.isValid(bytes, for: Array(signedText.utf8)) else { return .signatureMismatch }
        // Times last: only what was really signed has times worth waiting for.
        if issuedAt > now + TrustGraph.maxClockSkew { return .notYetIssued }
        if let notAfter, notAfter < now { return .expired }
        return nil
    }
}

extension String {
    var hasControlCharacter: Bool { unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7f } }
}
