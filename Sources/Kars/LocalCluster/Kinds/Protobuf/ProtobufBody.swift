import KarsCore

/// Reads objects of built-in kinds as Go programs send them: `application/vnd.kubernetes.protobuf` (Kubernetes, "API concepts",
/// "Kubernetes Protobuf encoding"). They become the JSON that the same program would have sent without it; everything after that
/// is the same. Since 1.32 kubectl sends what it makes itself in no other form.
enum ProtobufBody {
    static let mediaType = "application/vnd.kubernetes.protobuf"

    enum Fault: Error, Equatable, CustomStringConvertible {
        /// Without the four bytes that announce the format.
        case notAnnounced
        /// A kind that has no such form here.
        case unknownKind(apiVersion: String, kind: String)
        case malformed(String)

        var description: String {
            switch self {
            case .notAnnounced: "provided data does not appear to be a protobuf message, expected prefix 6b 38 73 00"
            case .unknownKind(let apiVersion, let kind): "no kind \"\(kind)\" is registered for version \"\(apiVersion)\""
            case .malformed(let text): "proto: \(text)"
            }
        }
    }

    private static let prefix = Array("k8s\0".utf8)

    static func json(_ body: [UInt8]) throws(Fault) -> JSONObject {
        guard body.starts(with: prefix) else { throw .notAnnounced }
        // `runtime.Unknown`, in it `runtime.TypeMeta`.
        let envelope = try byteFields(body.dropFirst(prefix.count))
        let type = try byteFields(envelope[1] ?? [])
        let (apiVersion, kind) = (try text(type[1] ?? []), try text(type[2] ?? []))
        guard let objectType = self.type(apiVersion: apiVersion, kind: kind) else {
            throw .unknownKind(apiVersion: apiVersion, kind: kind)
        }
        let (encoding, contentType) = (try text(envelope[3] ?? []), try text(envelope[4] ?? []))
        guard encoding.isEmpty, ["", mediaType].contains(contentType) else {
            throw .malformed("the object is encoded as \"\(encoding)\" \"\(contentType)\"")
        }
        var object: JSONObject = ["kind": .string(kind), "apiVersion": .string(apiVersion)]
        try ProtobufObject.read(envelope[2] ?? [], as: objectType, into: &object)
        return object
    }

    /// The last of each field that holds bytes.
    private static func byteFields(_ bytes: ArraySlice<UInt8>) throws(Fault) -> [Int: ArraySlice<UInt8>] {
        var reader = ProtobufReader(bytes)
        var fields: [Int: ArraySlice<UInt8>] = [:]
        while let (number, value) = try reader.field() {
            if case .bytes(let bytes) = value { fields[number] = bytes }
        }
        return fields
    }

    static func text(_ bytes: ArraySlice<UInt8>) throws(Fault) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .malformed("text that is not UTF-8") }
        return text
    }

    private static func type(apiVersion: String, kind: String) -> APIObjectType? {
        switch (apiVersion, kind) {
        case (_, "DeleteOptions"): return MetaTypes.deleteOptions
        case ("authentication.k8s.io/v1", "TokenRequest"): return ReviewTypes.tokenRequest
        case ("policy/v1", "Eviction"): return ReviewTypes.eviction
        case ("autoscaling/v1", "Scale"): return MetaTypes.scale
        default:
            let resource = BuiltInKinds.all.first {
                $0.description.kind == kind && $0.description.resource.groupVersion.description == apiVersion
            }
            return resource?.type.flatMap { ProtobufFields.names(of: $0) == nil ? nil : $0 }
        }
    }
}

extension ProtobufReader {
    /// `next`, with the failure in the words of an answer.
    mutating func field() throws(ProtobufBody.Fault) -> (number: Int, value: Value)? {
        do throws(ProtobufError) { return try next() } catch { throw .malformed("\(error)") }
    }
}
