import KarsCore

/// The short name of a pod template: equal templates have one name, others almost surely another.
enum PodTemplateHash {
    static let label = "pod-template-hash"

    /// FNV-1a over the canonical text, with the count of collisions so far, spelt with letters that make no words.
    static func of(_ template: JSON, collisions: Int?) -> String {
        var hash: UInt32 = 2_166_136_261
        func mix(_ bytes: some Sequence<UInt8>) { for byte in bytes { hash = (hash ^ UInt32(byte)) &* 16_777_619 } }
        // A template has no numbers beyond a double's range: they were validated as integers.
        mix((try? template.canonical()) ?? template.encoded())
        if let collisions { mix(String(collisions).utf8) }
        let alphabet = Array("bcdfghjklmnpqrstvwxz2456789".utf8)
        return String(decoding: String(hash).utf8.map { alphabet[Int($0) % alphabet.count] }, as: UTF8.self)
    }

    /// Whether two templates are the same apart from the label with their hash.
    static func areEqual(_ a: JSON, _ b: JSON) -> Bool { without(a) == without(b) }

    private static func without(_ template: JSON) -> JSON {
        guard var object = template.objectValue else { return template }
        object.metadata = object.metadata.withLabel(label, nil)
        return .object(object)
    }
}

extension JSONObject {
    /// `metadata` with a label set, or removed and then no empty map left behind.
    func withLabel(_ name: String, _ value: String?) -> JSONObject {
        var metadata = self
        var labels = metadata["labels"]?.objectValue ?? JSONObject()
        labels[name] = value.map(JSON.string)
        metadata["labels"] = labels.isEmpty ? nil : .object(labels)
        return metadata
    }
}
