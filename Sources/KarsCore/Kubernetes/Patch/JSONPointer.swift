/// Names one place in a document (RFC 6901): the steps from the root, unescaped.
struct JSONPointer: Equatable, Sendable {
    var steps: [String]

    init(steps: [String]) { self.steps = steps }

    /// Nil for text that neither is empty nor starts with a slash, and for a tilde that escapes nothing.
    init?(_ text: String) {
        steps = []
        guard !text.isEmpty else { return }
        guard text.utf8.first == UInt8(ascii: "/") else { return nil }
        for part in text.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            var bytes: [UInt8] = []
            var rest = part[...]
            while let byte = rest.popFirst() {
                guard byte == UInt8(ascii: "~") else {
                    bytes.append(byte)
                    continue
                }
                switch rest.popFirst() {
                case UInt8(ascii: "0"): bytes.append(UInt8(ascii: "~"))
                case UInt8(ascii: "1"): bytes.append(UInt8(ascii: "/"))
                default: return nil
                }
            }
            steps.append(String(decoding: bytes, as: UTF8.self))
        }
    }

    /// The index that a step means in a list of `count` elements; nil for anything but digits without leading zeros below
    /// `count`.
    static func index(_ step: String, below count: Int) -> Int? {
        guard let first = step.utf8.first, step.utf8.allSatisfy({ (48...57).contains($0) }),
            first != UInt8(ascii: "0") || step.utf8.count == 1, let index = Int(step), index < count
        else { return nil }
        return index
    }

    func value(in document: JSON) -> JSON? {
        var value = document
        for step in steps {
            switch value {
            case .object(let members):
                guard let member = members[step] else { return nil }
                value = member
            case .array(let elements):
                guard let index = Self.index(step, below: elements.count) else { return nil }
                value = elements[index]
            case .null, .bool, .number, .string: return nil
            }
        }
        return value
    }

    /// Whether this is the place of something around what `other` names.
    func isProperPrefix(of other: JSONPointer) -> Bool { steps.count < other.steps.count && other.steps.starts(with: steps) }
}
