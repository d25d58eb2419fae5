/// `$(NAME)` in commands, arguments and values (Kubernetes `third_party/forked/golang/expansion`): what is not defined stays as it is,
/// and `$$` is one `$`.
enum VariableExpansion {
    static func expand(_ text: String, _ value: (String) -> String?) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        var out = "", rest = text[...]
        while let mark = rest.firstIndex(of: "$") {
            out += rest[..<mark]
            rest = rest[rest.index(after: mark)...]
            switch rest.first {
            case "$":
                out += "$"
                rest = rest.dropFirst()
            case "(":
                let inner = rest.dropFirst()
                guard let end = inner.firstIndex(of: ")") else {
                    out += "$("
                    rest = inner
                    continue
                }
                let name = String(inner[..<end])
                out += value(name) ?? "$(\(name))"
                rest = inner[inner.index(after: end)...]
            default: out += "$"
            }
        }
        return out + rest
    }
}
