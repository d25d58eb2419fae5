/// The query of a request, decoded. A name may come several times.
struct QueryItems: Equatable, Sendable {
    private var items: [(name: String, value: String)] = []

    init() {}

    /// Reads what follows the question mark; parts with broken percent-encoding are left out, as the real server does.
    init(_ query: (some StringProtocol)?) {
        for part in query?.split(separator: "&") ?? [] {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentEncoding.decode(pair[0], plusIsSpace: true),
                let value = pair.count == 2 ? PercentEncoding.decode(pair[1], plusIsSpace: true) : ""
            else { continue }
            items.append((name, value))
        }
    }

    /// The first value; nil when the name does not come.
    subscript(name: String) -> String? { items.first { $0.name == name }?.value }

    func all(_ name: String) -> [String] { items.filter { $0.name == name }.map(\.value) }

    /// The first value unless it is empty.
    func text(_ name: String) -> String? {
        guard let value = self[name], !value.isEmpty else { return nil }
        return value
    }

    /// True for everything that comes and is neither `false` nor `0` (apimachinery `Convert_Slice_string_To_bool`).
    func flag(_ name: String) -> Bool? {
        guard let value = self[name] else { return nil }
        return value.lowercased() != "false" && value != "0"
    }

    static func == (left: QueryItems, right: QueryItems) -> Bool {
        left.items.elementsEqual(right.items) { $0 == $1 }
    }
}
