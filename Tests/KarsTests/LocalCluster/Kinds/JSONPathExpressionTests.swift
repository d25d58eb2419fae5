import KarsCore
import Testing

@testable import Kars

@Suite struct `JSONPath expressions` {
    static let object: JSON = [
        "spec": ["color": "red", "parts": [["id": "a", "n": 1], ["id": "b", "n": 2]], "a.b": "dotted"],
        "status": ["conditions": [["type": "Ready", "status": "True"], ["type": "Old", "status": "False"]]],
    ]

    @Test(
        arguments: [
            (".spec.color", ["red"]), ("spec.color", ["red"]), (".spec.parts[0].id", ["a"]), (".spec.parts[-1].id", ["b"]),
            (".spec.parts[*].id", ["a", "b"]), (".spec['a.b']", ["dotted"]), (".spec.a\\.b", ["dotted"]), (".spec.absent", []),
            (#".status.conditions[?(@.type=="Ready")].status"#, ["True"]),
            (".status.conditions[?(@.type != 'Ready')].type", ["Old"]),
            (".spec.parts[?(@.n==2)].id", ["b"]), (".spec.parts[7].id", []),
        ] as [(String, [String])])
    func `lead to values`(path: String, values: [String]) throws {
        #expect(try JSONPathExpression(parsing: path).values(in: Self.object) == values.map(JSON.string))
    }

    @Test(arguments: [
        "", ".", "..", ".a[", ".a[x]", ".a[?(@.b)]", ".a[?(@.b==)]", ".a['b", ".a b", "{.a}", ".a[?(@.b==1", ".a..b",
    ])
    func `that make no sense are refused`(text: String) {
        #expect(throws: JSONPathExpression.Problem.self) { try JSONPathExpression(parsing: text) }
    }

    @Test func `every prefix is read or refused`() {
        let text = #".status.conditions[?(@.type=="Ready")].status['x'][0][*]"#
        var read = 0
        for count in 0...text.count {
            do throws(JSONPathExpression.Problem) {
                _ = try JSONPathExpression(parsing: String(text.prefix(count)))
                read += 1
            } catch {
                #expect((0...count).contains(error.offset))
            }
        }
        #expect(read > 10)
    }
}
