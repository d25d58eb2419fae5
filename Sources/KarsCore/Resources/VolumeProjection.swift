/// One source of a projected volume.
package enum VolumeProjection: ResourceValue {
    /// Only the named keys, each as a file of the same name.
    case secret(name: String, keys: [String], optional: Bool)
    case configMap(name: String, keys: [String], optional: Bool)
    /// A token of the pod's service account that is renewed while the pod runs.
    case serviceAccountToken(path: String, expirationSeconds: Int)
    /// A field of the pod as a file.
    case field(String, path: String)

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        if let value = reader.value("secret") {
            let (name, keys, optional) = try Self.keyed(value, at: reader.location("secret"))
            self = .secret(name: name, keys: keys, optional: optional)
        } else if let value = reader.value("configMap") {
            let (name, keys, optional) = try Self.keyed(value, at: reader.location("configMap"))
            self = .configMap(name: name, keys: keys, optional: optional)
        } else if let value = reader.value("serviceAccountToken") {
            var inner = try ResourceReader(value, at: reader.location("serviceAccountToken"))
            self = .serviceAccountToken(
                path: try inner.requiredText("path"),
                expirationSeconds: try inner.integer("expirationSeconds", in: 600...(1 << 32)) ?? 3_600)
            try inner.finish()
        } else if let value = reader.value("downwardAPI") {
            self = try Self.downward(value, at: reader.location("downwardAPI"))
        } else {
            throw ResourceError(path, "expected secret, configMap, serviceAccountToken or downwardAPI")
        }
        try reader.finish()
    }

    private static func keyed(_ json: JSON, at path: String) throws(ResourceError) -> (String, [String], Bool) {
        var reader = try ResourceReader(json, at: path)
        let name = try reader.requiredText("name")
        let items = try reader.list("items", as: KeyItem.self)
        let optional = try reader.flag("optional") ?? false
        try reader.finish()
        return (name, items.map(\.key), optional)
    }

    private static func downward(_ json: JSON, at path: String) throws(ResourceError) -> VolumeProjection {
        var reader = try ResourceReader(json, at: path)
        let items = try reader.list("items", as: FieldItem.self)
        try reader.finish()
        guard items.count == 1 else { throw ResourceError(reader.location("items"), "expected one field") }
        return .field(items[0].field, path: items[0].path)
    }

    package var json: JSON {
        var writer = ResourceWriter()
        switch self {
        case .secret(let name, let keys, let optional): writer.write("secret", json: Self.keyed(name, keys, optional))
        case .configMap(let name, let keys, let optional): writer.write("configMap", json: Self.keyed(name, keys, optional))
        case .serviceAccountToken(let path, let seconds):
            writer.write("serviceAccountToken", json: ["path": .string(path), "expirationSeconds": .int(seconds)])
        case .field(let field, let path):
            writer.write("downwardAPI", json: ["items": [FieldItem(field: field, path: path).json]])
        }
        return writer.json
    }

    private static func keyed(_ name: String, _ keys: [String], _ optional: Bool) -> JSON {
        var writer = ResourceWriter()
        writer.write("name", name)
        writer.write("items", list: keys.map(KeyItem.init))
        writer.write("optional", optional ? true : nil)
        return writer.json
    }

    private struct KeyItem: ResourceValue {
        var key: String

        init(_ key: String) { self.key = key }

        init(reading json: JSON, at path: String) throws(ResourceError) {
            var reader = try ResourceReader(json, at: path)
            key = try reader.requiredText("key")
            guard try reader.requiredText("path") == key else { throw ResourceError(reader.location("path"), "expected \(key)") }
            try reader.finish()
        }

        var json: JSON { ["key": .string(key), "path": .string(key)] }
    }

    private struct FieldItem: ResourceValue {
        var field: String
        var path: String

        init(field: String, path: String) {
            self.field = field
            self.path = path
        }

        init(reading json: JSON, at place: String) throws(ResourceError) {
            var reader = try ResourceReader(json, at: place)
            path = try reader.requiredText("path")
            guard let reference = reader.value("fieldRef") else { throw ResourceError(place, "expected fieldRef") }
            var inner = try ResourceReader(reference, at: reader.location("fieldRef"))
            field = try inner.requiredText("fieldPath")
            try inner.finish(ignoring: ["apiVersion"])
            try reader.finish()
        }

        var json: JSON { ["path": .string(path), "fieldRef": ["fieldPath": .string(field)]] }
    }
}
