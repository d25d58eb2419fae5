import KarsCore

/// How an answer is wanted.
struct AnswerFormat: Equatable, Sendable {
    enum Encoding: Equatable, Sendable { case json, yaml }
    /// What objects become on their way out (KEP-2334's `as=` parameter of Accept).
    enum Shape: Equatable, Sendable { case object, table, partialMetadata, partialMetadataList, aggregatedDiscovery }

    var encoding = Encoding.json
    var shape = Shape.object

    static let json = AnswerFormat()

    /// The best of `accept` that is offered; nil when none is. `shapes` are those that make sense for the request.
    init?(accept: String?, shapes: Set<Shape>) {
        guard let accept, !accept.trimmingWhitespace().isEmpty else {
            self = .json
            return
        }
        var best: (format: AnswerFormat, quality: Double)?
        for clause in accept.split(separator: ",") {
            guard let (format, quality) = Self.read(clause), quality > 0, format.shape == .object || shapes.contains(format.shape)
            else { continue }
            if quality > (best?.quality ?? 0) { best = (format, quality) }
        }
        guard let best else { return nil }
        self = best.format
    }

    init(encoding: Encoding = .json, shape: Shape = .object) {
        self.encoding = encoding
        self.shape = shape
    }

    private static func read(_ clause: Substring) -> (AnswerFormat, quality: Double)? {
        var parts = clause.split(separator: ";").map { $0.trimmingWhitespace() }
        guard !parts.isEmpty else { return nil }
        var format = AnswerFormat()
        switch parts.removeFirst().lowercased() {
        case "application/json", "*/*", "application/*": format.encoding = .json
        case "application/yaml": format.encoding = .yaml
        default: return nil
        }
        var quality = 1.0
        var parameters: [String: String] = [:]
        for part in parts {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2 else { continue }
            if pair[0] == "q" { quality = Double(pair[1]) ?? 0 } else { parameters[String(pair[0])] = String(pair[1]) }
        }
        guard let shape = parameters["as"] else { return (format, quality) }
        switch (shape, parameters["g"], parameters["v"]) {
        case ("Table", "meta.k8s.io", "v1"): format.shape = .table
        case ("PartialObjectMetadata", "meta.k8s.io", "v1"): format.shape = .partialMetadata
        case ("PartialObjectMetadataList", "meta.k8s.io", "v1"): format.shape = .partialMetadataList
        case ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2"): format.shape = .aggregatedDiscovery
        default: return nil
        }
        return (format, quality)
    }

    static func notAcceptable() -> APIStatus {
        APIStatus(
            code: 406, reason: .notAcceptable,
            message: "only the following media types are accepted: \(MediaType.served)")
    }
}

/// What a body is written in.
enum MediaType: Equatable, Sendable {
    case json, yaml, mergePatch, jsonPatch, strategicMergePatch, applyPatch

    /// As the messages of the real server list them.
    static let served = "application/json, application/yaml, application/vnd.kubernetes.protobuf"

    /// Nil for what cannot be read. No Content-Type counts as JSON.
    init?(contentType: String?) {
        let type = contentType?.split(separator: ";").first?.trimmingWhitespace().lowercased() ?? ""
        switch type {
        case "", "application/json": self = .json
        case "application/yaml": self = .yaml
        case "application/merge-patch+json": self = .mergePatch
        case "application/json-patch+json": self = .jsonPatch
        case "application/strategic-merge-patch+json": self = .strategicMergePatch
        case "application/apply-patch+yaml": self = .applyPatch
        default: return nil
        }
    }

    static func unsupported(_ accepted: String = served) -> APIStatus {
        APIStatus(
            code: 415, reason: .unsupportedMediaType,
            message: "the body of the request was in an unknown format - accepted media types include: \(accepted)")
    }
}
