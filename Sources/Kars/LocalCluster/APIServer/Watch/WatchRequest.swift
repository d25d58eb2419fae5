import KarsCore

/// GET with `watch=true`: the objects, then what happens to them, as lines of JSON until the client leaves or the time is up.
extension ObjectRequest {
    /// Without `timeoutSeconds` a watch lasts half an hour to an hour, so that clients spread their reconnections.
    private static let defaultTimeout = 1800...3600
    private static let bookmarkInterval = Duration.seconds(60)
    /// The last bookmark comes so long before the end.
    private static let bookmarkLead = Duration.seconds(2)

    func watch(_ options: ListOptions, _ writer: AnswerWriter, isServed: @Sendable () -> Bool) async throws {
        guard writer.format.encoding == .json else { throw AnswerFormat.notAcceptable() }
        let selector = try ObjectSelector(options, resource)
        let revision = try options.revision() ?? 0
        let initial = options.sendsInitialEvents ?? (revision == 0)
        let sendsEnd = options.sendsInitialEvents == true && options.allowsBookmarks
        var encoder = WatchEncoder(resource: resource, namespace: info.namespace, selector: selector, writer: writer)
        var start = revision
        try await writer.startStream()
        if initial {
            let (objects, current) = context.store.list(resource.collection, namespace: info.namespace)
            try await send(encoder.initial(objects), writer)
            start = current
            if sendsEnd { try await writer.response.write(encoder.bookmark(current, endsInitialEvents: true)) }
        } else if revision == 0 {
            start = context.store.revision
        }
        let watch = StoreWatch(context.store, resource.collection, after: start)
        let timer = WatchTimer(
            timeout: options.timeout ?? .seconds(Int.random(in: Self.defaultTimeout)), bookmarkInterval: Self.bookmarkInterval,
            bookmarkLead: Self.bookmarkLead)
        try await follow(watch, timer, &encoder, writer, sendsBookmarks: options.allowsBookmarks, isServed: isServed)
        try await writer.response.finish()
    }

    private func follow(
        _ watch: StoreWatch, _ timer: WatchTimer, _ encoder: inout WatchEncoder, _ writer: AnswerWriter, sendsBookmarks: Bool,
        isServed: @Sendable () -> Bool
    ) async throws {
        timer.start { watch.interrupt() }
        defer { timer.stop() }
        while !Task.isCancelled, isServed() {
            switch await watch.next() {
            case .events(let events, _):
                for event in events {
                    if let line = encoder.line(for: event) { try await writer.response.write(line) }
                }
            case .interrupted(let upTo):
                switch timer.takeDue() {
                case .end: return
                case .bookmark where sendsBookmarks:
                    try await writer.response.write(encoder.bookmark(upTo, endsInitialEvents: false))
                case .bookmark, nil: break
                }
            case .expired(let oldest):
                let status = APIStatus.expired("too old resource version: \(encoder.lastRevision ?? revision) (\(oldest))")
                return try await writer.response.write(encoder.failure(status))
            }
        }
    }

    private var revision: Int { query.text("resourceVersion").flatMap(ListOptions.revision) ?? 0 }

    /// Lines of the present objects, in pieces: the list may be long and the client slow.
    private func send(_ lines: [[UInt8]], _ writer: AnswerWriter) async throws {
        var piece: [UInt8] = []
        for line in lines {
            piece += line
            if piece.count > 64 << 10 {
                try await writer.response.write(piece)
                piece = []
            }
        }
        if !piece.isEmpty { try await writer.response.write(piece) }
    }
}

/// Makes the lines of a watch. Pure, apart from remembering what the client has seen.
struct WatchEncoder {
    let resource: ServedResource
    let namespace: String?
    let selector: ObjectSelector
    private let shape: AnswerFormat.Shape
    private let include: TableInclude
    private let now: UTCTime
    /// Of the last line.
    private(set) var lastRevision: Int?
    private var hasSentColumns = false

    init(resource: ServedResource, namespace: String?, selector: ObjectSelector, writer: AnswerWriter) {
        self.resource = resource
        self.namespace = namespace
        self.selector = selector
        shape = writer.format.shape
        include = writer.include
        now = writer.now
    }

    mutating func initial(_ objects: ArraySlice<StoredObject>) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        for stored in objects {
            let object = ServedObject(stored, resource)
            if selector.matches(object.json) { lines.append(line("ADDED", object)) }
        }
        return lines
    }

    /// What the event is to this client: an object that begins to match is added, one that ceases to is deleted. Nil when
    /// it is none of its business.
    mutating func line(for event: StoreEvent) -> [UInt8]? {
        lastRevision = event.revision
        if let namespace, event.object.key.namespace != namespace { return nil }
        let object = ServedObject(event.object, resource)
        guard selector.isSelective else {
            switch event.kind {
            case .added: return line("ADDED", object)
            case .modified: return line("MODIFIED", object)
            case .deleted: return line("DELETED", object)
            }
        }
        let previous = event.previous.map { ServedObject($0, resource) }
        let matched = previous.map { selector.matches($0.json) } ?? false
        let matches = event.kind != .deleted && selector.matches(object.json)
        switch (matched, matches) {
        case (false, false): return nil
        case (false, true): return line("ADDED", object)
        case (true, true): return line("MODIFIED", object)
        case (true, false):
            // The client is shown the state that it knew, with the revision at which that ended.
            guard event.kind != .deleted, let previous else { return line("DELETED", object) }
            var last = previous.json
            last.metadata["resourceVersion"] = .string(String(event.revision))
            return line("DELETED", ServedObject(last, resource))
        }
    }

    func bookmark(_ revision: Int, endsInitialEvents: Bool) -> [UInt8] {
        var metadata: JSONObject = [:]
        metadata["resourceVersion"] = .string(String(revision))
        if endsInitialEvents { metadata["annotations"] = ["k8s.io/initial-events-end": "true"] }
        let kind = shape == .object ? resource.description.kind : shape == .table ? "Table" : "PartialObjectMetadata"
        let version = shape == .object ? resource.description.resource.groupVersion.description : "meta.k8s.io/v1"
        var object: JSONObject = ["kind": .string(kind), "apiVersion": .string(version), "metadata": .object(metadata)]
        if shape == .table {
            object["columnDefinitions"] = .null
            object["rows"] = []
        }
        return Self.line("BOOKMARK", JSON.object(object).encoded())
    }

    func failure(_ status: APIStatus) -> [UInt8] { Self.line("ERROR", status.json.encoded()) }

    private mutating func line(_ type: StaticString, _ object: ServedObject) -> [UInt8] {
        switch shape {
        case .object, .aggregatedDiscovery: return Self.line(type, object.encoded)
        case .partialMetadata, .partialMetadataList: return Self.line(type, object.partial.encoded())
        case .table:
            var table = AnswerWriter.table(of: object, include: include, now: now)
            // Columns do not change within a stream; only its first line has them.
            if hasSentColumns { table.setMember("columnDefinitions", .null) }
            hasSentColumns = true
            return Self.line(type, table.encoded())
        }
    }

    private static func line(_ type: StaticString, _ object: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(object.count + 40)
        bytes += "{\"type\":\"\(type)\",\"object\":".utf8
        bytes += object
        bytes += "}\n".utf8
        return bytes
    }
}
