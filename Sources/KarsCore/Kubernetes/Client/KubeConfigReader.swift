/// Reads members of one object of a kubeconfig and says where something is wrong.
struct KubeConfigReader {
    /// `FILE: users[0].user`.
    let place: String
    private let file: String
    private let json: JSON

    init(_ json: JSON, path: String) { self.init(json, file: path, place: path) }

    private init(_ json: JSON, file: String, place: String) {
        self.json = json
        self.file = file
        self.place = place
    }

    var keys: [String] { json.objectValue?.keys ?? [] }

    private func value(_ key: String) -> JSON? { json[key].flatMap { $0.isNull ? nil : $0 } }

    func text(_ key: String) throws(KubeConfigError) -> String? {
        guard let value = value(key) else { return nil }
        guard let text = value.stringValue else { throw expected("text", key) }
        return text
    }

    func requiredText(_ key: String) throws(KubeConfigError) -> String {
        guard let text = try text(key), !text.isEmpty else { throw KubeConfigError("\(place): \(key) is required") }
        return text
    }

    func flag(_ key: String) throws(KubeConfigError) -> Bool {
        guard let value = value(key) else { return false }
        guard let flag = value.boolValue else { throw expected("true or false", key) }
        return flag
    }

    func texts(_ key: String) throws(KubeConfigError) -> [String] {
        guard let value = value(key) else { return [] }
        guard let elements = value.arrayValue else { throw expected("a list of texts", key) }
        var texts: [String] = []
        for element in elements {
            guard let text = element.stringValue else { throw expected("a list of texts", key) }
            texts.append(text)
        }
        return texts
    }

    func object(_ key: String) throws(KubeConfigError) -> KubeConfigReader? {
        guard let value = value(key) else { return nil }
        guard value.objectValue != nil else { throw expected("an object", key) }
        return KubeConfigReader(value, file: file, place: below(key))
    }

    func objects(_ key: String) throws(KubeConfigError) -> [KubeConfigReader] {
        guard let value = value(key) else { return [] }
        guard let elements = value.arrayValue, elements.allSatisfy({ $0.objectValue != nil }) else {
            throw expected("a list of objects", key)
        }
        return elements.enumerated().map { KubeConfigReader($1, file: file, place: "\(below(key))[\($0)]") }
    }

    /// The list form in which kubeconfig keeps maps: `[{name: …, CONTENT: {…}}]`.
    func named(_ key: String, _ content: String) throws(KubeConfigError) -> [(String, KubeConfigReader)] {
        var entries: [(String, KubeConfigReader)] = []
        for element in try objects(key) {
            let name = try element.requiredText("name")
            let empty = KubeConfigReader(.object(JSONObject()), file: file, place: "\(element.place).\(content)")
            entries.append((name, try element.object(content) ?? empty))
        }
        return entries
    }

    /// A file name, which begins at this file's directory when it is relative.
    func path(_ key: String) throws(KubeConfigError) -> String? {
        guard let text = try text(key), !text.isEmpty else { return nil }
        return resolved(text)
    }

    /// A program: looked up in `PATH` when it has no slash, else a file name.
    func program(_ key: String) throws(KubeConfigError) -> String {
        let text = try requiredText(key)
        return text.utf8.contains(UInt8(ascii: "/")) ? resolved(text) : text
    }

    private func resolved(_ text: String) -> String {
        if text.hasPrefix("/") { return text }
        guard let slash = file.lastIndex(of: "/") else { return text }
        return file[...slash] + text
    }

    /// `KEY-data` (Base64) before the file `KEY`.
    func pem(_ key: String) throws(KubeConfigError) -> KubernetesClientConfig.PEMSource? {
        if let data = try text("\(key)-data"), !data.isEmpty {
            let compact = data.filter { !$0.isWhitespace }
            guard let bytes = Base64.decode(compact) else { throw expected("Base64", "\(key)-data") }
            return .text(bytes)
        }
        return try path(key).map { .file($0) }
    }

    private func below(_ key: String) -> String { place == file ? "\(file): \(key)" : "\(place).\(key)" }

    private func expected(_ what: String, _ key: String) -> KubeConfigError {
        KubeConfigError("\(place): \(key): expected \(what)")
    }
}
