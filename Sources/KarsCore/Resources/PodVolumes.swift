package struct Volume: ResourceValue {
    package enum Source: Equatable, Sendable {
        /// Lives as long as the pod; in memory when `inMemory`.
        case emptyDirectory(inMemory: Bool, sizeLimit: Quantity?)
        case configMap(name: String, optional: Bool)
        /// `mode`: of each file, 0o400 to 0o777.
        case secret(name: String, optional: Bool, mode: Int?)
        /// A directory of the machine. Only for the laptop: the controller never writes it.
        case hostPath(path: String, create: Bool)
        /// Several sources in one directory. Only for clusters.
        case projected([VolumeProjection], mode: Int?)
    }

    package var name: String
    package var source: Source

    package init(name: String, _ source: Source) {
        self.name = name
        self.source = source
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        name = try reader.requiredText("name")
        if let value = reader.value("emptyDir") {
            var inner = try ResourceReader(value, at: reader.location("emptyDir"))
            let medium = try inner.text("medium") ?? ""
            guard medium == "" || medium == "Memory" else {
                throw ResourceError(inner.location("medium"), "expected Memory or nothing")
            }
            var limit: Quantity?
            if let text = try inner.text("sizeLimit") {
                guard let quantity = Quantity(text), quantity >= .zero else {
                    throw ResourceError(inner.location("sizeLimit"), "expected a quantity such as 1Gi")
                }
                limit = quantity
            }
            try inner.finish()
            source = .emptyDirectory(inMemory: medium == "Memory", sizeLimit: limit)
        } else if let value = reader.value("configMap") {
            var inner = try ResourceReader(value, at: reader.location("configMap"))
            source = .configMap(name: try inner.requiredText("name"), optional: try inner.flag("optional") ?? false)
            try inner.finish(ignoring: ["defaultMode"])
        } else if let value = reader.value("secret") {
            var inner = try ResourceReader(value, at: reader.location("secret"))
            source = .secret(
                name: try inner.requiredText("secretName"), optional: try inner.flag("optional") ?? false,
                mode: try inner.integer("defaultMode", in: 0...0o777))
            try inner.finish()
        } else if let value = reader.value("hostPath") {
            var inner = try ResourceReader(value, at: reader.location("hostPath"))
            let hostPath = try inner.requiredText("path")
            guard hostPath.hasPrefix("/"), !hostPath.split(separator: "/").contains("..") else {
                throw ResourceError(inner.location("path"), "expected an absolute path without ..")
            }
            let type = try inner.text("type") ?? ""
            guard ["", "Directory", "DirectoryOrCreate"].contains(type) else {
                throw ResourceError(inner.location("type"), "expected Directory or DirectoryOrCreate")
            }
            try inner.finish()
            source = .hostPath(path: hostPath, create: type == "DirectoryOrCreate")
        } else if let value = reader.value("projected") {
            var inner = try ResourceReader(value, at: reader.location("projected"))
            let mode = try inner.integer("defaultMode", in: 0...0o777)
            source = .projected(try inner.list("sources"), mode: mode)
            try inner.finish()
        } else {
            throw ResourceError(path, "expected emptyDir, configMap, secret, hostPath or projected")
        }
        try reader.finish()
    }

    package var json: JSON {
        var writer = ResourceWriter(), inner = ResourceWriter()
        writer.write("name", name)
        switch source {
        case .emptyDirectory(let inMemory, let sizeLimit):
            inner.write("medium", inMemory ? "Memory" : nil)
            inner.write("sizeLimit", sizeLimit?.text)
            writer.write("emptyDir", json: inner.json)
        case .configMap(let name, let optional):
            inner.write("name", name)
            inner.write("optional", optional ? true : nil)
            writer.write("configMap", json: inner.json)
        case .secret(let name, let optional, let mode):
            inner.write("secretName", name)
            inner.write("optional", optional ? true : nil)
            inner.write("defaultMode", mode)
            writer.write("secret", json: inner.json)
        case .hostPath(let path, let create):
            inner.write("path", path)
            inner.write("type", create ? "DirectoryOrCreate" : "Directory")
            writer.write("hostPath", json: inner.json)
        case .projected(let sources, let mode):
            inner.write("sources", list: sources)
            inner.write("defaultMode", mode)
            writer.write("projected", json: inner.json)
        }
        return writer.json
    }
}

package struct VolumeMount: ResourceValue {
    package var name: String
    package var mountPath: String
    package var readOnly: Bool
    package var subPath: String?

    package init(_ name: String, at mountPath: String, readOnly: Bool = false, subPath: String? = nil) {
        self.name = name
        self.mountPath = mountPath
        self.readOnly = readOnly
        self.subPath = subPath
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        name = try reader.requiredText("name")
        mountPath = try reader.requiredText("mountPath")
        readOnly = try reader.flag("readOnly") ?? false
        subPath = try reader.text("subPath")
        try reader.finish()
        guard mountPath.hasPrefix("/"), mountPath.count > 1, !mountPath.split(separator: "/").contains("..") else {
            throw ResourceError(reader.location("mountPath"), "expected an absolute path without ..")
        }
        if let subPath, subPath.hasPrefix("/") || subPath.split(separator: "/").contains("..") {
            throw ResourceError(reader.location("subPath"), "expected a relative path without ..")
        }
    }

    package var json: JSON {
        var writer = ResourceWriter()
        writer.write("name", name)
        writer.write("mountPath", mountPath)
        writer.write("readOnly", readOnly ? true : nil)
        writer.write("subPath", subPath)
        return writer.json
    }
}
