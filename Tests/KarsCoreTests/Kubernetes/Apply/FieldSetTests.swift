import KarsCore
import KarsTesting
import Testing

@Suite struct `Field set` {
    @Test func `recorded sets survive reading and writing`() throws {
        var count = 0
        for recording in Recording.all.values {
            for entry in recording.object.metadata["managedFields"]?.arrayValue ?? [] {
                let fields = try #require(entry["fieldsV1"])
                #expect(FieldSet(fieldsV1: fields)?.fieldsV1 == fields)
                count += 1
            }
        }
        #expect(count > 30)
    }

    @Test func `members and parts are two things`() throws {
        let set = try #require(
            FieldSet(fieldsV1: ["f:a": [".": [:], "f:b": [:]], "f:c": ["k:{\"y\":1,\"x\":2}": ["f:d": [:]]]]))
        #expect(set.contains([.field("a")]) && set.contains([.field("a"), .field("b")]) && !set.contains([.field("c")]))
        #expect(set.paths.map { $0.map(\.description).joined() } == [".a", ".a.b", ".c[x=2,y=1].d"])
    }

    @Test(
        arguments: [
            ["f:a": 1], ["x:a": [:]], ["a": [:]], ["k:1": [:]], ["k:{}": [:]], ["v:": [:]], ["i:-1": [:]], ["i:01": [:]], [],
        ] as [JSON])
    func `other texts are refused`(json: JSON) { #expect(FieldSet(fieldsV1: json) == nil) }

    private func randomSet(_ random: inout SeededRandom) -> FieldSet {
        let elements = ["f:a", "f:b", "k:{\"n\":1}", "v:\"x\"", "i:0"]
        func node(_ depth: Int) -> JSON {
            var object = JSONObject()
            if depth > 0, Bool.random(using: &random) { object["."] = [:] }
            for element in elements where depth < 3 && Int.random(in: 0..<3, using: &random) == 0 {
                object[element] = node(depth + 1)
            }
            if object["."] != nil, object.count == 1 { return [:] }
            return .object(object)
        }
        guard let set = FieldSet(fieldsV1: node(0)) else { fatalError("a set that was made up is none") }
        return set
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `the algebra of sets holds`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let (a, b) = (randomSet(&random), randomSet(&random))
        let (pathsA, pathsB) = (Set(a.paths), Set(b.paths))
        #expect(Set(a.union(b).paths) == pathsA.union(pathsB))
        #expect(Set(a.intersection(b).paths) == pathsA.intersection(pathsB))
        #expect(Set(a.difference(b).paths) == pathsA.subtracting(pathsB))
        #expect(a.difference(b).union(a.intersection(b)) == a)
        #expect(FieldSet(a.paths) == a)
        #expect(FieldSet(fieldsV1: a.fieldsV1) == a)
        #expect(a.paths.allSatisfy { a.contains($0) })
    }
}
