import KarsCore

/// What a request is answered with, before the format the client wants is applied.
struct APIAnswer: Sendable {
    enum Body: Sendable {
        /// An object as it is served.
        case object(ServedObject)
        case list(ServedList)
        /// Sent as it is, whatever shape was asked for: `Status`, discovery.
        case json(JSON)
        case text(String)
        case empty
    }

    var status = 200
    var body: Body
    /// Texts for `Warning` headers.
    var warnings: [String] = []
    var headers = HTTPHeaders()

    init(status: Int = 200, _ body: Body, warnings: [String] = []) {
        self.status = status
        self.body = body
        self.warnings = warnings
    }

    init(_ failure: APIStatus) {
        self.init(status: failure.code, .json(failure.json))
        if let seconds = failure.retryAfterSeconds { headers.add("retry-after", String(seconds)) }
        if failure.code == 403 { headers.add("x-content-type-options", "nosniff") }
    }

    /// The plain 404 of paths that nothing serves.
    static let pageNotFound = APIAnswer(status: 404, .text("404 page not found\n"))

    /// `Status` of a deletion that is complete.
    static func deleted(_ resource: GroupVersionResource, name: String, uid: String?) -> JSON {
        var details: JSONObject = ["name": .string(name)]
        if !resource.group.isEmpty { details["group"] = .string(resource.group) }
        details["kind"] = .string(resource.resource)
        details["uid"] = uid.map { .string($0) }
        return ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "details": .object(details)]
    }
}

/// An object on its way out: as JSON, and as bytes when they exist already.
struct ServedObject: Sendable {
    let resource: ServedResource
    let json: JSONObject
    private let known: [UInt8]?

    init(_ stored: StoredObject, _ resource: ServedResource) {
        self.resource = resource
        if resource.servesAsStored(stored) {
            json = stored.json
            known = stored.encoded
        } else {
            json = resource.served(stored.json)
            known = nil
        }
    }

    /// For objects that are nowhere stored: dry runs, scales, reviews.
    init(_ json: JSONObject, _ resource: ServedResource) {
        self.resource = resource
        self.json = json
        known = nil
    }

    var encoded: [UInt8] { known ?? JSON.object(json).encoded() }

    /// What stands before everything else in `encoded`, and is left out of the items of built-in lists.
    static func prefix(_ resource: ServedResource) -> [UInt8] {
        let version = resource.description.resource.groupVersion.description
        return Array("{\"kind\":\"\(resource.description.kind)\",\"apiVersion\":\"\(version)\",".utf8)
    }

    /// `PartialObjectMetadata` of meta/v1.
    var partial: JSON {
        ["kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": .object(json.metadata)]
    }
}

/// A list on its way out.
struct ServedList: Sendable {
    let resource: ServedResource
    var items: [ServedObject]
    var revision: Int
    var continueToken: String?
    var remaining: Int?

    private func metadata(isPlain: Bool) -> JSONObject {
        var metadata: JSONObject = [:]
        // Lists of custom resources always say `continue`.
        if let continueToken {
            metadata["continue"] = .string(continueToken)
        } else if resource.isCustom, isPlain {
            metadata["continue"] = ""
        }
        metadata["remainingItemCount"] = remaining.map { .int($0) }
        metadata["resourceVersion"] = .string(String(revision))
        return metadata
    }

    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256 + items.count * 1024)
        let version = resource.description.resource.groupVersion.description
        bytes += "{\"kind\":\"\(resource.description.listKind)\",\"apiVersion\":\"\(version)\",\"metadata\":".utf8
        bytes += JSON.object(metadata(isPlain: true)).encoded()
        bytes += ",\"items\":[".utf8
        let prefix = ServedObject.prefix(resource)
        for (index, item) in items.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            let encoded = item.encoded
            // Items of built-in lists do not repeat their kind.
            if !resource.isCustom, encoded.starts(with: prefix) {
                bytes.append(UInt8(ascii: "{"))
                bytes += encoded[prefix.count...]
            } else {
                bytes += encoded
            }
        }
        bytes += "]}".utf8
        return bytes
    }

    var json: JSON {
        [
            "kind": .string(resource.description.listKind),
            "apiVersion": .string(resource.description.resource.groupVersion.description),
            "metadata": .object(metadata(isPlain: true)),
            "items": .array(
                items.map { item in
                    var object = item.json
                    if !resource.isCustom {
                        object["kind"] = nil
                        object["apiVersion"] = nil
                    }
                    return .object(object)
                }),
        ]
    }

    var partial: JSON {
        [
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": .object(metadata(isPlain: false)),
            "items": .array(items.map(\.partial)),
        ]
    }

    func table(include: TableInclude, now: UTCTime) -> JSON {
        var table = TableRenderer.table(of: items.map(\.json), resource: resource, includeObject: include, now: now)
        table.setMember("metadata", .object(metadata(isPlain: false)))
        return table
    }
}
