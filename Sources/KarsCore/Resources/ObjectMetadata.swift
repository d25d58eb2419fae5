/// Name and labels of a Kubernetes object: the part of `metadata` that kars writes.
package struct ObjectMetadata: ResourceValue {
    package var name: String
    package var namespace: String?
    package var labels: [String: String] = [:]
    package var annotations: [String: String] = [:]

    package init(name: String, namespace: String? = nil, labels: [String: String] = [:], annotations: [String: String] = [:]) {
        self.name = name
        self.namespace = namespace
        self.labels = labels
        self.annotations = annotations
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        name = try reader.requiredText("name")
        namespace = try reader.text("namespace")
        labels = try reader.textMap("labels")
        annotations = try reader.textMap("annotations")
        try reader.finish(ignoring: [
            "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "ownerReferences", "generateName",
            "deletionTimestamp", "deletionGracePeriodSeconds", "finalizers",
        ])
    }

    package var json: JSON {
        var writer = ResourceWriter()
        writer.write("name", name)
        writer.write("namespace", namespace)
        writer.write("labels", map: labels)
        writer.write("annotations", map: annotations)
        return writer.json
    }
}

/// Files for containers, as text; nothing secret.
package struct ConfigMap: ResourceValue {
    package var metadata: ObjectMetadata
    /// File name to content.
    package var data: [String: String]

    package init(metadata: ObjectMetadata, data: [String: String]) {
        self.metadata = metadata
        self.data = data
    }

    package init(reading json: JSON, at path: String = "") throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        guard try reader.requiredText("kind") == "ConfigMap", try reader.requiredText("apiVersion") == "v1" else {
            throw ResourceError(path, "expected a v1 ConfigMap")
        }
        metadata = try reader.object("metadata") ?? ObjectMetadata(name: "")
        data = try reader.textMap("data")
        try reader.finish(ignoring: ["immutable"])
    }

    package var json: JSON {
        var writer = ResourceWriter()
        writer.write("apiVersion", "v1")
        writer.write("kind", "ConfigMap")
        writer.write("metadata", metadata)
        writer.write("data", map: data)
        return writer.json
    }
}

/// A Kubernetes Secret: bytes by key. It prints as its name and keys only.
package struct SecretObject: Sendable, CustomStringConvertible {
    package var metadata: ObjectMetadata
    package var data: [String: Secret<[UInt8]>]

    package init(metadata: ObjectMetadata, data: [String: Secret<[UInt8]>]) {
        self.metadata = metadata
        self.data = data
    }

    package var description: String { "Secret \(metadata.name) (\(data.keys.sorted().joined(separator: ", ")))" }

    /// With its content in Base64, as the API server takes it. For that and for pipes to a child; never for a log or a file.
    package func jsonWithContent() -> JSON {
        var writer = ResourceWriter()
        writer.write("apiVersion", "v1")
        writer.write("kind", "Secret")
        writer.write("metadata", metadata)
        writer.write("type", "Opaque")
        writer.write("data", map: data.mapValues { Base64.encode($0.reveal()) })
        return writer.json
    }
}
