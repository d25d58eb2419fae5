import KarsCore
import Testing

@testable import Kars

/// `Vectors/kubectl-bodies.json`: what kubectl 1.31 (JSON) and 1.32 (Protocol Buffers) send for the same command.
struct KubectlBody: Sendable, CustomTestStringConvertible {
    let command: String
    let json: JSONObject
    let protobuf: [UInt8]

    var testDescription: String { command }

    static let all: [KubectlBody] = {
        let path = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        do {
            let bytes = try Files.read("/\(path)/Vectors/kubectl-bodies.json", upTo: 1 << 20)
            return (try JSON(parsing: bytes).arrayValue ?? []).map { record in
                KubectlBody(
                    command: record["command"]?.stringValue ?? "", json: record["json"]?.objectValue ?? JSONObject(),
                    protobuf: Base64.decode(record["protobuf"]?.stringValue ?? "") ?? [])
            }
        } catch {
            fatalError("the bodies cannot be read: \(error)")
        }
    }()
}

@Suite struct `Protobuf body` {
    /// As the server goes on with an object: with the type's rules about what is empty.
    static func decoded(_ object: JSONObject) throws -> JSONObject {
        let type = try #require(
            object["kind"] == "TokenRequest" ? ReviewTypes.tokenRequest : KindRecord.served(object)?.type)
        return try APIDecoder.decode(object, as: type)
    }

    @Test(arguments: KubectlBody.all)
    func `it says what JSON says`(body: KubectlBody) throws {
        #expect(try Self.decoded(ProtobufBody.json(body.protobuf)) == Self.decoded(body.json))
    }

    @Test func `the bodies are there`() { #expect(KubectlBody.all.count == 14) }

    @Test(arguments: KubectlBody.all.prefix(3))
    func `a body that is cut within the object is refused`(body: KubectlBody) {
        // Behind the object there are two empty fields of two bytes each; before it there is its kind.
        for count in 0..<body.protobuf.count - 4 {
            let cut = Result { () throws(ProtobufBody.Fault) in try ProtobufBody.json(Array(body.protobuf[..<count])) }
            if case .success(let object) = cut { #expect(object["metadata"] == nil && object["kind"] == body.json["kind"]) }
        }
    }

    private static func envelope(_ apiVersion: String, _ kind: String, raw: [UInt8]) -> [UInt8] {
        func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
            var count = bytes.count
            var length: [UInt8] = []
            repeat {
                length.append(UInt8(count & 0x7f) | (count > 0x7f ? 0x80 : 0))
                count >>= 7
            } while count > 0
            return [number << 3 | 2] + length + bytes
        }
        return Array("k8s\0".utf8) + field(1, field(1, Array(apiVersion.utf8)) + field(2, Array(kind.utf8))) + field(2, raw)
    }

    @Test func `what is no such body is refused in the words of the real server`() {
        #expect(throws: ProtobufBody.Fault.notAnnounced) { try ProtobufBody.json(Array("{}".utf8)) }
        #expect(throws: ProtobufBody.Fault.unknownKind(apiVersion: "v1", kind: "Endpoints")) {
            try ProtobufBody.json(Self.envelope("v1", "Endpoints", raw: []))
        }
        #expect(throws: ProtobufBody.Fault.malformed("the message ends within the field at byte 0")) {
            try ProtobufBody.json(Self.envelope("v1", "ConfigMap", raw: [0x0a, 0x05]))
        }
        #expect(throws: ProtobufBody.Fault.malformed("text that is not UTF-8")) {
            try ProtobufBody.json(Self.envelope("v1", "ConfigMap", raw: [0x0a, 0x03, 0x0a, 0x01, 0xff]))
        }
        #expect(throws: ProtobufBody.Fault.malformed("a number where text or a message belongs")) {
            try ProtobufBody.json(Self.envelope("v1", "ConfigMap", raw: [0x08, 0x01]))
        }
    }

    @Test func `every message names only fields of its type`() {
        for resource in BuiltInKinds.all {
            guard let type = resource.type, let names = ProtobufFields.names(of: type) else { continue }
            for name in names where name != "-" && name.first != "+" {
                #expect(type.fields.contains { $0.name == name }, "\(type.name) has no field \(name)")
            }
        }
    }

    /// Fields of a status that came after 1.33; the node alone writes them, and not in this form.
    static let newer: [String: Set<String>] = [
        "PodStatus": ["allocatedResources", "resources"], "NodeStatus": ["declaredFeatures"],
    ]

    @Test func `every field of every kind has a number`() {
        var seen: Set<String> = []
        func visit(_ type: APIType) {
            switch type {
            case .object(let type), .nullableObject(let type): visit(type)
            case .recursive(let type): visit(type())
            case .list(let element, _): visit(element)
            case .map(let value): visit(value)
            case .string, .choice, .boolean, .int32, .int64, .anyNumber, .quantity, .intOrString, .time, .microTime, .bytes,
                .rawObject, .anyValue:
                break
            }
        }
        func numbered(_ type: APIObjectType, _ message: Substring? = nil) -> Set<String> {
            var names: Set<String> = []
            for name in ProtobufFields.names(of: type, message: message) ?? [] {
                names.formUnion(name.first == "+" ? numbered(type, name.dropFirst()) : [String(name)])
            }
            return names
        }
        func visit(_ type: APIObjectType) {
            guard seen.insert(type.name).inserted else { return }
            let missing = Set(type.fields.map(\.name)).subtracting(numbered(type)).subtracting(["apiVersion", "kind"])
                .subtracting(Self.newer[type.shortName] ?? [])
            #expect(missing.isEmpty, "\(type.name): \(missing)")
            for field in type.fields { visit(field.type) }
        }
        for resource in BuiltInKinds.all where resource.description.resource.group != "apiextensions.k8s.io" {
            if let type = resource.type { visit(type) }
        }
        #expect(seen.count > 150)
    }
    @Test func `the server takes such a body, and says what it cannot read`() async throws {
        try await APIServerFixture.run(change: { $0.builtIn = BuiltInKinds.all }) { api in
            func post(_ path: String, _ body: [UInt8]) async throws -> APIServerFixture.Answer {
                let url = HTTPURL(scheme: .http, host: "127.0.0.1", port: api.port, target: path)
                let request = HTTPClientRequest(
                    method: .post, url: url, headers: ["content-type": ProtobufBody.mediaType], body: .bytes(body))
                let response = try await api.client.send(request)
                return APIServerFixture.Answer(
                    status: response.status, headers: response.head.headers, body: try await response.body(upTo: 1 << 20))
            }
            let made = try await post(APIServerFixture.configMaps, KubectlBody.all[0].protobuf)
            #expect(made.status == 201 && made.json["data"]?["x"] == "y")
            let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            let definition = Self.envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", raw: [])
            let foreign = try await post(definitions, definition)
            #expect(foreign.status == 415)
            let broken = Self.envelope("v1", "ConfigMap", raw: [0x0a, 0x05])
            #expect(try await post(APIServerFixture.configMaps, broken).status == 400)
            #expect(try await post(APIServerFixture.configMaps, Array("{}".utf8)).status == 400)
        }
    }
}
