import KarsCore

/// The operator's decisions and what was learnt, as they are kept between runs.
struct EgressState: Equatable, Sendable {
    /// Set by an operator; nil leaves the configured mode.
    var mode: EgressPolicy.Mode?
    var granted: [EgressRule] = []
    var denied: [EgressRule.Pattern] = []
    var learned: [LearnedHosts.Entry] = []

    static let schemaVersion = 1
    static let maxFileBytes = 4 << 20

    var encoded: [UInt8] {
        let learned = learned.map { entry in
            JSON.object(
                JSONObject([
                    ("host", .string(entry.name.text)), ("port", .int(Int(entry.port))),
                    ("firstSeen", .int(Int(entry.firstSeen.seconds))),
                    ("lastSeen", .int(Int(entry.lastSeen.seconds))), ("count", .int(entry.count)),
                ]))
        }
        return JSON.object(
            JSONObject([
                ("schemaVersion", .int(Self.schemaVersion)), ("mode", mode.map { .string($0.rawValue) } ?? .null),
                ("granted", .array(granted.map { .string($0.description) })),
                ("denied", .array(denied.map { .string($0.description) })),
                ("learned", .array(learned)),
            ])
        ).encoded(pretty: true)
    }

    init(
        mode: EgressPolicy.Mode? = nil, granted: [EgressRule] = [], denied: [EgressRule.Pattern] = [],
        learned: [LearnedHosts.Entry] = []
    ) {
        self.mode = mode
        self.granted = granted
        self.denied = denied
        self.learned = learned
    }

    init(parsing bytes: [UInt8]) throws(EgressStateError) {
        let json: JSON
        do { json = try JSON(parsing: bytes) } catch { throw EgressStateError(reason: "\(error)") }
        guard json["schemaVersion"]?.intValue == Self.schemaVersion else {
            throw EgressStateError(
                reason: "schemaVersion: expected \(Self.schemaVersion); the file is of another version of kars")
        }
        if let text = json["mode"]?.stringValue {
            guard let mode = EgressPolicy.Mode(rawValue: text) else {
                throw EgressStateError(reason: "mode: expected strict or learn")
            }
            self.mode = mode
        }
        for text in try Self.strings(json, "granted") { granted.append(try Self.rule(text)) }
        for text in try Self.strings(json, "denied") { denied.append(try Self.rule(text).pattern) }
        guard let entries = json["learned"]?.arrayValue else { throw EgressStateError(reason: "learned: expected a list") }
        for entry in entries {
            guard let host = entry["host"]?.stringValue, let name = try? HostName(host), let port = entry["port"]?.intValue,
                let port = UInt16(exactly: port), let first = entry["firstSeen"]?.intValue,
                let last = entry["lastSeen"]?.intValue,
                let count = entry["count"]?.intValue
            else { throw EgressStateError(reason: "learned: expected host, port, firstSeen, lastSeen and count") }
            learned.append(
                LearnedHosts.Entry(
                    name: name, port: port, firstSeen: UTCTime(seconds: Int64(first)), lastSeen: UTCTime(seconds: Int64(last)),
                    count: count))
        }
    }

    private static func strings(_ json: JSON, _ member: String) throws(EgressStateError) -> [String] {
        let values = json[member]?.arrayValue?.map(\.stringValue)
        guard let values, !values.contains(nil) else { throw EgressStateError(reason: "\(member): expected a list of strings") }
        return values.compactMap { $0 }
    }

    private static func rule(_ text: String) throws(EgressStateError) -> EgressRule {
        do { return try EgressRule(parsing: text) } catch { throw EgressStateError(reason: "\(text): \(error)") }
    }
}
