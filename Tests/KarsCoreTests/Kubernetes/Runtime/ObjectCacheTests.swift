import KarsCore
import Testing

@Suite struct `Object cache` {
    private func object(_ name: String, _ version: Int, app: String? = nil) -> JSONObject {
        var metadata: JSONObject = ["name": .string(name), "namespace": "n", "resourceVersion": .string(String(version))]
        if let app { metadata["labels"] = ["app": .string(app)] }
        return ["metadata": .object(metadata)]
    }

    private func key(_ name: String) -> ObjectKey { ObjectKey(namespace: "n", name: name) }

    private func cache() -> ObjectCache {
        ObjectCache(indexes: ["app": { $0.labels["app"].map { [$0] } ?? [] }])
    }

    @Test func `a new list is told as the difference`() {
        var cache = cache()
        #expect(cache.apply(.replaced([object("a", 1), object("b", 2)])) == [.added(object("a", 1)), .added(object("b", 2))])
        let changes = cache.apply(.replaced([object("b", 2), object("c", 4)]))
        #expect(changes == [.deleted(object("a", 1)), .added(object("c", 4))])
        #expect(cache.all == [object("b", 2), object("c", 4)])
    }

    @Test func `the same version again is no change, the same name with another identity is one`() {
        var cache = cache()
        var first = object("a", 1)
        first.metadata["uid"] = "u1"
        _ = cache.apply(.applied(first))
        #expect(cache.apply(.applied(first)) == [])
        var second = first
        second.metadata["uid"] = "u2"
        #expect(cache.apply(.applied(second)) == [.updated(old: first, new: second)])
    }

    @Test func `indexes follow every change`() {
        var cache = cache()
        _ = cache.apply(.replaced([object("a", 1, app: "x"), object("b", 1, app: "x"), object("c", 1)]))
        #expect(cache.objects(with: "x", in: "app").map(\.name) == ["a", "b"])
        _ = cache.apply(.applied(object("a", 2, app: "y")))
        _ = cache.apply(.deleted(object("b", 3, app: "x")))
        #expect(cache.objects(with: "x", in: "app").isEmpty)
        #expect(cache.objects(with: "y", in: "app") == [object("a", 2, app: "y")])
        #expect(cache[key("b")] == nil)
    }

    @Test func `the deletion of what nobody knew is no change`() {
        var cache = cache()
        #expect(cache.apply(.deleted(object("a", 1))) == [])
    }
}
