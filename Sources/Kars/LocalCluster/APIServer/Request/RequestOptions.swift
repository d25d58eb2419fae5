import KarsCore

/// How a list or watch is asked for (`ListOptions` of meta/v1), checked as apimachinery's `ValidateListOptions` does.
struct ListOptions: Sendable {
    enum Match: String, Sendable { case notOlderThan = "NotOlderThan", exact = "Exact" }

    var labelSelector: LabelSelector?
    var fieldSelector: FieldSelector?
    /// 0 for no limit.
    var limit = 0
    var continueToken: String?
    /// As sent; nil when absent or empty.
    var resourceVersion: String?
    var match: Match?
    var isWatch = false
    var allowsBookmarks = false
    var sendsInitialEvents: Bool?
    var timeout: Duration?

    init(_ query: QueryItems, isWatch: Bool) throws(APIStatus) {
        self.isWatch = isWatch
        limit = try Self.number(query, "limit") ?? 0
        continueToken = query.text("continue")
        resourceVersion = query.text("resourceVersion")
        allowsBookmarks = query.flag("allowWatchBookmarks") ?? false
        sendsInitialEvents = query.flag("sendInitialEvents")
        timeout = try Self.number(query, "timeoutSeconds").flatMap { $0 > 0 ? .seconds(min($0, 86_400)) : nil }
        try readMatch(query.text("resourceVersionMatch"))
        do throws(SelectorError) {
            labelSelector = try query.text("labelSelector").map { text throws(SelectorError) in try LabelSelector(parsing: text) }
            fieldSelector = try query.text("fieldSelector").map { text throws(SelectorError) in try FieldSelector(parsing: text) }
        } catch {
            throw .badRequest("\(error)")
        }
    }

    private mutating func readMatch(_ text: String?) throws(APIStatus) {
        var faults: [FieldError] = []
        func forbid(_ field: String, _ detail: String) { faults.append(.forbidden(field, detail)) }
        if isWatch {
            if text != nil, sendsInitialEvents == nil {
                forbid("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
            }
            if sendsInitialEvents == true, text != Match.notOlderThan.rawValue {
                forbid("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
            }
        } else {
            if sendsInitialEvents != nil { forbid("sendInitialEvents", "sendInitialEvents is forbidden for list") }
            if let text, Match(rawValue: text) == nil {
                faults.append(
                    .notSupported("resourceVersionMatch", .string(text), supported: ["Exact", "NotOlderThan", ""]))
            } else if let text {
                if resourceVersion == nil {
                    forbid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
                }
                if continueToken != nil {
                    forbid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
                }
                if text == Match.exact.rawValue, resourceVersion == "0" {
                    forbid(
                        "resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
                }
            }
        }
        match = text.flatMap(Match.init)
        guard faults.isEmpty else { throw .invalid(group: "meta.k8s.io", kind: "ListOptions", name: "", faults) }
    }

    private static func number(_ query: QueryItems, _ name: String) throws(APIStatus) -> Int? {
        guard let text = query.text(name) else { return nil }
        guard let value = Int(text) else {
            throw .badRequest("strconv.ParseInt: parsing \"\(text)\": invalid syntax")
        }
        return max(0, value)
    }

    /// The revision that is asked for; nil when none is, 0 for any.
    func revision() throws(APIStatus) -> Int? {
        guard let resourceVersion else { return nil }
        guard let revision = Self.revision(resourceVersion) else {
            let fault = Self.revisionFault(resourceVersion)
            guard !isWatch else { return try Self.plainFailure(fault) }
            throw .badRequest("invalid resource version: \(fault)")
        }
        return revision
    }

    static func revision(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return Int(text)
    }

    static func revisionFault(_ text: String) -> String {
        "resourceVersion: Invalid value: \(JSON.string(text)): strconv.ParseUint: parsing \(JSON.string(text)): invalid syntax"
    }

    /// What the real server answers where it forgot to give an error a reason.
    private static func plainFailure(_ message: String) throws(APIStatus) -> Int? {
        throw APIStatus(code: 500, reason: .unknown, message: message)
    }
}

/// What goes with a write (`CreateOptions`, `UpdateOptions`, `PatchOptions`).
struct WriteParameters: Sendable {
    enum FieldValidation: String, CaseIterable, Sendable { case ignore = "Ignore", warn = "Warn", strict = "Strict" }

    var isDryRun = false
    var fieldManager: String?
    var fieldValidation = FieldValidation.warn
    var force: Bool?

    /// `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`, as messages name it.
    init(_ query: QueryItems, kind: String) throws(APIStatus) {
        var faults: [FieldError] = []
        isDryRun = Self.dryRun(query.all("dryRun"), &faults)
        if let text = query.text("fieldValidation") {
            if let known = FieldValidation(rawValue: text) {
                fieldValidation = known
            } else {
                faults.append(.notSupported("fieldValidation", .string(text), supported: ["Ignore", "Strict", "Warn"]))
            }
        }
        force = query.flag("force")
        fieldManager = query.text("fieldManager")
        if let fieldManager { faults += Self.managerFaults(fieldManager) }
        guard faults.isEmpty else { throw .invalid(group: "meta.k8s.io", kind: kind, name: "", faults) }
    }

    static func dryRun(_ values: [String], _ faults: inout [FieldError]) -> Bool {
        let asked = values.filter { !$0.isEmpty }
        if asked.contains(where: { $0 != "All" }) {
            faults.append(
                .notSupported("dryRun", .array(asked.map { .string($0) }), supported: ["All"]))
        }
        return !asked.isEmpty
    }

    private static func managerFaults(_ manager: String) -> [FieldError] {
        var faults: [FieldError] = []
        if manager.utf8.count > 128 {
            faults.append(FieldError(.tooLong, "fieldManager", detail: "may not be more than 128 bytes"))
        }
        if let bad = manager.unicodeScalars.first(where: { $0.value < 0x20 || $0.value == 0x7f }) {
            faults.append(
                .invalid("fieldManager", .string(manager), "should only contain printable characters (found \(bad.value))"))
        }
        return faults
    }

    /// The manager that a write without `fieldManager` counts for: the first part of the User-Agent.
    static func manager(from userAgent: String?) -> String {
        let first = userAgent?.split(separator: "/", omittingEmptySubsequences: false).first ?? ""
        return first.isEmpty
            ? "unknown"
            : String(first.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7f }.prefix(128).map(Character.init))
    }
}

/// What goes with a deletion (`DeleteOptions` of meta/v1): from the body, or from the query when there is none.
struct DeleteParameters: Sendable {
    enum Propagation: String, CaseIterable, Sendable {
        case foreground = "Foreground", background = "Background", orphan = "Orphan"
    }

    var isDryRun = false
    /// Seconds.
    var gracePeriod: Int?
    var propagation: Propagation?
    var uid: String?
    var resourceVersion: String?

    init() {}

    init(_ query: QueryItems) throws(APIStatus) {
        var object = JSONObject()
        if let text = query.text("gracePeriodSeconds") {
            guard let seconds = Int(text) else { throw .badRequest("strconv.ParseInt: parsing \"\(text)\": invalid syntax") }
            object["gracePeriodSeconds"] = .int(seconds)
        }
        object["propagationPolicy"] = query.text("propagationPolicy").map { .string($0) }
        object["orphanDependents"] = query.flag("orphanDependents").map { .bool($0) }
        object["dryRun"] = .array(query.all("dryRun").map { .string($0) })
        try self.init(object)
    }

    init(_ object: JSONObject) throws(APIStatus) {
        var faults: [FieldError] = []
        isDryRun = WriteParameters.dryRun((object["dryRun"]?.arrayValue ?? []).compactMap(\.stringValue), &faults)
        gracePeriod = object["gracePeriodSeconds"]?.intValue
        uid = object["preconditions"]?["uid"]?.stringValue
        resourceVersion = object["preconditions"]?["resourceVersion"]?.stringValue
        let policy = object["propagationPolicy"]?.stringValue
        let orphans = object["orphanDependents"]?.boolValue
        if policy != nil, orphans != nil {
            faults.append(
                .invalid(
                    "propagationPolicy", .string(policy ?? ""),
                    "orphanDependents and deletionPropagation cannot be both set"))
        }
        if let policy {
            propagation = Propagation(rawValue: policy)
            if propagation == nil {
                faults.append(
                    .notSupported(
                        "propagationPolicy", .string(policy), supported: ["Foreground", "Background", "Orphan", "nil"]))
            }
        } else if let orphans {
            propagation = orphans ? .orphan : .background
        }
        guard faults.isEmpty else { throw .invalid(group: "meta.k8s.io", kind: "DeleteOptions", name: "", faults) }
    }
}
