import KarsCore

/// An object that a person wants, from flags or from a file, checked before anything is sent.
enum PolicyManifest {
    static let maxFileBytes = 4 << 20

    /// DNS-1123 labels (RFC 1123 §2.1): names that labels and volumes can carry.
    static func checked(name: String) throws(CommandFailure) -> String {
        let isWord = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-")
        }
        guard isWord, (1...63).contains(name.utf8.count), !name.hasPrefix("-"), !name.hasSuffix("-") else {
            throw CommandFailure(
                .usage, "'\(name)' is no name: expected at most 63 lower-case letters, digits and dashes, for instance my-policy")
        }
        return name
    }

    /// From the text of a file: a specification, or a manifest that has one. YAML and JSON are one to the reader.
    static func object<Kind: KarsResource>(
        _ type: Kind.Type, name: String, namespace: String, file: String, text: [UInt8]
    ) throws(CommandFailure) -> JSONObject {
        let documents: [JSON]
        do throws(YAMLError) { documents = try YAML.parse(text, file: file) } catch { throw CommandFailure(.usage, "\(error)") }
        guard documents.count == 1, let root = documents[0].objectValue else {
            throw CommandFailure(.usage, "\(file): expected one document with a mapping, found \(documents.count)")
        }
        guard let spec = root["spec"] else { return object(type, name: name, namespace: namespace, spec: documents[0]) }
        let expected = [("apiVersion", KarsKind.apiVersion), ("kind", Kind.definition.kind)]
        for (field, value) in expected {
            if let found = root[field]?.stringValue, found != value {
                throw CommandFailure(.usage, "\(file): \(field) is \(found), expected \(value)")
            }
        }
        let metadata = root.metadata
        for (field, value) in [("name", name), ("namespace", namespace)] {
            if let found = metadata[field]?.stringValue, found != value {
                throw CommandFailure(
                    .usage, "\(file): metadata.\(field) is '\(found)', the command says '\(value)'",
                    advice: field == "name" ? "Name it '\(found)' in the command." : "Say -n \(found).")
            }
        }
        var object = object(type, name: name, namespace: namespace, spec: spec)
        for field in ["labels", "annotations"] {
            if let kept = metadata[field] { object.metadata[field] = kept }
        }
        return object
    }

    static func object<Kind: KarsResource>(_ type: Kind.Type, name: String, namespace: String, spec: JSON) -> JSONObject {
        [
            "apiVersion": .string(KarsKind.apiVersion), "kind": .string(Kind.definition.kind),
            "metadata": ["name": .string(name), "namespace": .string(namespace)], "spec": spec,
        ]
    }

    /// Everything that the API server or the controller would refuse, in one failure.
    static func check<Kind: KarsResource>(
        _ object: JSONObject, as type: Kind.Type, _ faults: (Kind) -> [ResourceError]
    ) throws(CommandFailure) -> Kind {
        let model: Kind
        do throws(ResourceError) { model = try Kind(reading: object) } catch {
            throw CommandFailure(.usage, "\(type.title(object.name)) is refused: \(error)")
        }
        // Misspellings, which a server may drop without a word.
        var spec = object["spec"] ?? .null
        var lines = Kind.definition.spec.prune(&spec, at: "spec").map { "\($0): there is no such field" }
        lines += faults(model).map { "\($0)" }
        guard lines.isEmpty else {
            throw CommandFailure(
                .usage,
                "\(type.title(object.name)) is refused:\n" + lines.map { "  \(Terminal.safeLine($0))" }.joined(separator: "\n"),
                advice: "Nothing was sent.")
        }
        return model
    }
}
