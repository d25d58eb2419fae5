/// The allow list as a file: `{"schemaVersion":1,"endpoints":[{"host","port"}]}` (spec/router 3).
///
/// Every entry must be proper: a typing error in a host is told to whoever wrote it instead of being skipped, and the last
/// good list stays in force meanwhile.
package enum EgressAllowlist {
    package static let maxFileBytes = 4 << 20
    package static let maxEndpoints = 10_000

    package static func rules(
        parsing bytes: [UInt8], file: String = PolicyDigest.Name.egressAllowlist
    ) throws(PolicyFileError) -> [EgressRule] {
        let json = try PolicyFileError.object(bytes, file: file, maxBytes: maxFileBytes)
        try checkVersion(json, file)
        return try endpoints(json["endpoints"], member: "endpoints", file)
    }

    static func checkVersion(_ json: JSON, _ file: String) throws(PolicyFileError) {
        guard json["schemaVersion"]?.intValue == 1 else {
            throw PolicyFileError(file: file, reason: "schemaVersion: expected 1")
        }
    }

    static func endpoints(_ json: JSON?, member: String, _ file: String) throws(PolicyFileError) -> [EgressRule] {
        guard let entries = json?.arrayValue, entries.count <= maxEndpoints else {
            throw PolicyFileError(file: file, reason: "\(member): expected a list of at most \(maxEndpoints) endpoints")
        }
        var rules: [EgressRule] = []
        rules.reserveCapacity(entries.count)
        for (index, entry) in entries.enumerated() {
            guard let host = entry["host"]?.stringValue else {
                throw PolicyFileError(file: file, reason: "\(member)[\(index)].host: expected a string")
            }
            var port: UInt16 = 443
            if let value = entry["port"], !value.isNull {
                guard let number = value.intValue, (1...65_535).contains(number) else {
                    throw PolicyFileError(file: file, reason: "\(member)[\(index)].port: expected 1 to 65535")
                }
                port = UInt16(number)
            }
            do throws(HostName.Problem) {
                rules.append(try EgressRule(host: host, port: port))
            } catch {
                throw PolicyFileError(file: file, reason: "\(member)[\(index)].host: \(error)")
            }
        }
        return rules
    }
}

extension EgressGrant {
    package static let maxFileBytes = 1 << 20

    /// Reads an `approval-*.json` file (spec/router 3).
    package init(parsing bytes: [UInt8], file: String) throws(PolicyFileError) {
        let json = try PolicyFileError.object(bytes, file: file, maxBytes: Self.maxFileBytes)
        try EgressAllowlist.checkVersion(json, file)
        guard let name = json["approvalName"]?.stringValue, !name.isEmpty, name.utf8.count <= 253 else {
            throw PolicyFileError(file: file, reason: "approvalName: expected a name")
        }
        func time(_ key: String) throws(PolicyFileError) -> UTCTime {
            guard let text = json[key]?.stringValue, let time = UTCTime(rfc3339: text) else {
                throw PolicyFileError(file: file, reason: "\(key): expected a time such as 2026-01-02T03:04:05Z")
            }
            return time
        }
        self.init(
            name: name, rules: try EgressAllowlist.endpoints(json["hosts"], member: "hosts", file),
            effectiveAt: try time("effectiveAt"), expiresAt: try time("expiresAt"))
    }
}
