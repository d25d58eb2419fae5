extension SchemaRecord {
    /// What the API server would find with the keywords of the schema (patterns, ranges, lengths, choices); rules in CEL are not run.
    /// For what did not pass an API server with this very definition, and for definitions that are newer or older than this program.
    package func keywordFaults(at path: String) -> [ResourceError] {
        Self.schema.validate(json, at: path).map { ResourceError($0.field, $0.detail.isEmpty ? $0.message : $0.detail) }
    }
}
