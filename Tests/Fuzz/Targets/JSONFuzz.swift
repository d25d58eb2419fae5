import KarsCore

extension Fuzz {
    /// The scanner accepts what the tree accepts and finds the same members; what was read survives being written; the
    /// canonical form is its own canonical form.
    static let jsonTarget = Target(name: "json") { input in
        let bytes = Array(input)
        let limits = JSONLimits(maxBytes: 1 << 16, maxDepth: 32, duplicateKeys: .keepLast)
        let tree: JSON
        do throws(JSONError) { tree = try JSON(parsing: bytes, limits: limits) } catch {
            precondition(error.offset <= bytes.count && error.line >= 1 && error.column >= 1)
            precondition((try? JSONMemberScanner.scan(bytes, limits: limits)) == nil, "the scanner accepts what the tree refuses")
            precondition((try? JSON(parsing: bytes)) == nil, "refusing duplicates accepts more")
            return
        }
        checkScanner(bytes, tree, limits)
        precondition((try? JSON(parsing: tree.encoded())) == tree, "writing changed the value")
        precondition((try? JSON(parsing: tree.encoded(pretty: true))) == tree, "laying out changed the value")
        guard let canonical = try? tree.canonical() else { return }
        let again = try? JSON(parsing: canonical)
        precondition((try? again?.canonical()) == canonical, "the canonical form has another canonical form")
    }

    private static func checkScanner(_ bytes: [UInt8], _ tree: JSON, _ limits: JSONLimits) {
        let members = try? JSONMemberScanner.scan(bytes, limits: limits)
        precondition(members?.map(\.key) == tree.objectValue?.keys, "scanner and tree see other members")
        for member in members ?? [] {
            let value = try? JSON(parsing: bytes, in: member.value.range, limits: limits)
            precondition(value == tree[member.key], "a member's range holds another value")
            precondition(member.value.string(in: bytes) == value?.stringValue)
            precondition(member.value.bool(in: bytes) == value?.boolValue)
        }
        let elements = try? JSONMemberScanner.elements(bytes, in: 0..<bytes.count, limits: limits)
        let values = elements?.map { try? JSON(parsing: bytes, in: $0.range, limits: limits) }
        precondition(values == tree.arrayValue, "scanner and tree see other elements")
    }
}
