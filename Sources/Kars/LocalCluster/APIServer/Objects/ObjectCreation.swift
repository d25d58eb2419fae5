import KarsCore

/// POST: from what a client sent to a stored object.
///
/// The order is the real server's: defaults, field ownership, admission that changes, what the server decides, validation,
/// admission that refuses.
extension ObjectRequest {
    func create(_ body: [UInt8], _ type: MediaType) async throws(APIStatus) -> APIAnswer {
        let options = try WriteParameters(query, kind: "CreateOptions")
        var decoded = try ObjectDecoder(resource: resource, validation: options.fieldValidation).decode(body, type)
        try settleNamespace(of: &decoded.object)
        guard ["", "0"].contains(decoded.object.resourceVersion ?? "") else {
            throw APIStatus(
                code: 500, reason: .unknown, message: "resourceVersion should not be set on objects to be created")
        }
        return try await insert(
            decoded.object, manager: options.fieldManager ?? WriteParameters.manager(from: userAgent), isDryRun: options.isDryRun,
            warnings: decoded.warnings)
    }

    /// How often a generated name is tried; with 27⁵ of them one is found at once or something is wrong.
    private static let maxNames = 8

    /// Stores a new object. `manager` is nil when its field ownership is settled already, by an apply.
    func insert(
        _ desired: JSONObject, manager: String?, isDryRun: Bool, warnings: [String]
    ) async throws(APIStatus) -> APIAnswer {
        try await context.write(resource, info) { () async throws(APIStatus) in
            try await admitAndStore(desired, manager: manager, isDryRun: isDryRun, warnings: warnings)
        }
    }

    private func admitAndStore(
        _ desired: JSONObject, manager: String?, isDryRun: Bool, warnings: [String]
    ) async throws(APIStatus) -> APIAnswer {
        var desired = desired
        var warnings = warnings
        if resource.hasStatus { desired["status"] = nil }
        if let manager {
            FieldManagement.update(
                &desired, from: resource.blank, manager: manager, subresource: nil, schema: resource.schema, now: info.now)
        }
        warnings += try await context.admit(&desired, old: nil, info, .mutating)
        let generatesName = desired.name.isEmpty && !(desired.metadata["generateName"]?.stringValue ?? "").isEmpty
        for attempt in 1...Self.maxNames {
            var object = desired
            prepare(&object)
            try check(resource.faults(creating: object), object)
            let more = try await context.admit(&object, old: nil, info, .validating) + resource.warnings(for: object)
            object = ObjectLayout.arranged(resource.stored(object))
            try Self.checkSize(object)
            let key = resource.key(namespace: info.namespace, name: object.name)
            if isDryRun {
                guard context.store.get(key) == nil else { throw .alreadyExists(name, name: key.name) }
                return APIAnswer(status: 201, .object(ServedObject(resource.served(object), resource)), warnings: warnings + more)
            }
            switch try await context.commit([Mutation(key: key, expected: .absent, change: .put(object))]) {
            case .done(let states):
                try await changed(states[0])
                return APIAnswer(status: 201, .object(ServedObject(states[0], resource)), warnings: warnings + more)
            case .conflict:
                guard generatesName, attempt < Self.maxNames else { throw .alreadyExists(name, name: key.name) }
            }
        }
        throw .alreadyExists(name, name: desired.name)
    }

    /// A body may leave its namespace out, or name that of the path.
    func settleNamespace(of object: inout JSONObject) throws(APIStatus) {
        guard resource.description.isNamespaced else { return }
        guard let namespace = info.namespace else {
            throw .badRequest("an empty namespace may not be set during creation")
        }
        guard ["", namespace].contains(object.namespace ?? "") else {
            throw .badRequest("the namespace of the provided object does not match the namespace sent on the request")
        }
        object.metadata["namespace"] = .string(namespace)
    }

    /// What the server decides about every new object.
    private func prepare(_ object: inout JSONObject) {
        var metadata = object.metadata
        for field in ["selfLink", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"] { metadata[field] = nil }
        metadata["uid"] = .string(Identifier.uuid())
        metadata["creationTimestamp"] = .string(info.now.rfc3339)
        if object.name.isEmpty, let prefix = metadata["generateName"]?.stringValue, !prefix.isEmpty {
            metadata["name"] = .string(Identifier.name(beginning: prefix))
        }
        object.metadata = metadata
        resource.strategy.prepareForCreate(&object, info)
    }

    func check(_ faults: [FieldError], _ object: JSONObject) throws(APIStatus) {
        guard !faults.isEmpty else { return }
        throw .invalid(
            group: resource.storage?.group ?? name.group, kind: object["kind"]?.stringValue ?? resource.description.kind,
            name: object.name, faults)
    }

    /// etcd's bound on one request, which bounds objects of kinds without a bound of their own.
    private static let maxObjectBytes = 3 << 19

    static func checkSize(_ object: JSONObject) throws(APIStatus) {
        guard JSON.object(object).encodedCount(upTo: maxObjectBytes) > maxObjectBytes else { return }
        throw APIStatus(
            code: 413, reason: .requestEntityTooLarge, message: "Request entity too large: limit is \(maxObjectBytes)")
    }
}

extension ServedResource {
    /// What an object of a built-in kind shows before anything is said, which nobody owns as such. Nil for custom kinds,
    /// which have nothing then.
    var blank: JSONObject? {
        guard let type else { return nil }
        var blank = APIDecoder.blank(type)
        blank["kind"] = .string(description.kind)
        blank["apiVersion"] = .string(description.resource.groupVersion.description)
        blank["metadata"] = [:]
        return blank
    }
}

extension JSON {
    /// A lower bound of the encoded length, good enough to refuse what is far too large; stops once it is past `limit`.
    fileprivate func encodedCount(upTo limit: Int) -> Int {
        switch self {
        case .null: return 4
        case .bool: return 4
        case .number(let number): return number.lexeme.utf8.count
        case .string(let text): return text.utf8.count + 2
        case .array(let elements):
            var count = 2
            for element in elements where count <= limit { count += element.encodedCount(upTo: limit - count) + 1 }
            return count
        case .object(let members):
            var count = 2
            for (key, value) in members where count <= limit {
                count += key.utf8.count + 4 + value.encodedCount(upTo: limit - count)
            }
            return count
        }
    }
}

/// Random identifiers.
enum Identifier {
    /// A version 4 UUID (RFC 9562 §5.4).
    static func uuid() -> String {
        var random = SystemRandomNumberGenerator()
        let high = random.next() & ~0xf000 | 0x4000
        let low = random.next() & ~(3 << 62) | 2 << 62
        return String(unsafeUninitializedCapacity: 36) { text in
            var place = 0
            for digit in 0..<32 {
                if [8, 12, 16, 20].contains(digit) {
                    text[place] = UInt8(ascii: "-")
                    place += 1
                }
                let word = digit < 16 ? high : low
                let value = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (digit % 16)) & 0xf)
                text[place] = value + (value < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10)
                place += 1
            }
            return place
        }
    }

    /// `prefix` and five letters or digits that make no words and cannot be confused (apimachinery `names`).
    static func name(beginning prefix: String) -> String {
        let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
        var random = SystemRandomNumberGenerator()
        let ending = (0..<5).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }
        return String(decoding: prefix.utf8.prefix(58), as: UTF8.self) + String(ending)
    }
}
