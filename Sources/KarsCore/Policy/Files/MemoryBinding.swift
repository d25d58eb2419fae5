/// The store and scope that an agent's memories live in, as the controller writes it to `binding.json` (spec/router 3, 18).
package struct MemoryBinding: Equatable, Sendable {
    package static let maxFileBytes = 64 * 1024

    package var store: String
    /// The sandbox that the binding was made for: a router of another one refuses it.
    package var sandbox: String
    package var scope: String
    package var retentionDays: Int?
    package var deletesWithSandbox: Bool
    package var displayName: String?

    package init(
        store: String, sandbox: String, scope: String, retentionDays: Int? = nil, deletesWithSandbox: Bool = true,
        displayName: String? = nil
    ) {
        self.store = store
        self.sandbox = sandbox
        self.scope = scope
        self.retentionDays = retentionDays
        self.deletesWithSandbox = deletesWithSandbox
        self.displayName = displayName
    }

    package init(parsing bytes: [UInt8], file: String = PolicyDigest.Name.memory) throws(PolicyFileError) {
        let json = try PolicyFileError.object(bytes, file: file, maxBytes: Self.maxFileBytes)
        func text(_ value: JSON?, _ path: String, _ isPart: (UInt8) -> Bool) throws(PolicyFileError) -> String {
            guard let text = value?.stringValue, (1...256).contains(text.utf8.count), text.utf8.allSatisfy(isPart) else {
                throw PolicyFileError(file: file, reason: "\(path): expected a name")
            }
            return text
        }
        store = try text(json["storeName"], "storeName") { Self.isNamePart($0) }
        sandbox = try text(json["sandboxRef"]?["name"], "sandboxRef.name") { Self.isNamePart($0) || $0 == UInt8(ascii: ".") }
        scope = try text(json["scope"], "scope") { Self.isScopePart($0) }
        if let value = json["retentionDays"], !value.isNull {
            guard let days = value.intValue, days > 0 else {
                throw PolicyFileError(file: file, reason: "retentionDays: expected a whole number above 0")
            }
            retentionDays = days
        }
        if let value = json["deleteOnSandboxDelete"], !value.isNull {
            guard let flag = value.boolValue else {
                throw PolicyFileError(file: file, reason: "deleteOnSandboxDelete: expected true or false")
            }
            deletesWithSandbox = flag
        } else {
            deletesWithSandbox = true
        }
        displayName = json["displayName"]?.stringValue
    }

    package var json: JSON {
        [
            "storeName": .string(store), "sandboxRef": ["name": .string(sandbox)], "scope": .string(scope),
            "retentionDays": retentionDays.map { .int($0) } ?? .null, "deleteOnSandboxDelete": .bool(deletesWithSandbox),
            "displayName": displayName.map { .string($0) } ?? .null,
        ]
    }

    private static func isNamePart(_ byte: UInt8) -> Bool {
        (97...122).contains(byte) || (48...57).contains(byte) || byte == UInt8(ascii: "-")
    }

    private static func isScopePart(_ byte: UInt8) -> Bool {
        isNamePart(byte) || (65...90).contains(byte) || "_./%+@".utf8.contains(byte)
    }
}
