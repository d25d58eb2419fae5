import KarsCore
import Testing

@Suite struct `Default tool policy` {
    @Test func `the policy that is shipped passes its own definition and compiles`() throws {
        let manifest = try #require(KarsManifests.part(.defaults).first)
        #expect(manifest.object.name == ToolPolicy.defaultName && manifest.isSeed)
        let schema = ToolPolicy.definition.schema
        var object = JSON.object(manifest.object)
        #expect(schema.prune(&object, at: "") == [])
        #expect(schema.validate(object, at: "") == [] && SchemaRules(compiling: schema, at: "s").validate(object) == [])
        #expect(try ToolPolicy(reading: manifest.object).spec.faults() == [])
    }
}
