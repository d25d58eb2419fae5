import KarsCore
import Testing

@Suite struct `Label selector` {
    @Test func `the recorded refusal is worded as recorded`() {
        let error = #expect(throws: SelectorError.self) { try LabelSelector(parsing: "a in (") }
        #expect(error?.reason == Recording["cr-list-label-bad"].body["message"]?.stringValue)
    }

    static let labels = ["app": "list", "n": "2", "example.com/x": ""]

    @Test(arguments: [
        ("", true), ("app=list,n!=0", true), ("app==list", true), ("app=x", false), ("n in (1,2),!tier,app", true),
        ("n notin (1, 2)", false),
        ("absent notin (1)", true), ("absent!=1", true), ("absent", false), ("!app", false), ("example.com/x=", true),
        ("example.com/x in ()", true),
        ("n>1", true), ("n > 2", false), ("n<3", true), ("app>1", false), ("in in (in)", false), ("n in (,2)", true),
        (" app = list ", true),
    ])
    func `matching follows the operators`(text: String, matches: Bool) throws {
        #expect(try LabelSelector(parsing: text).matches(Self.labels) == matches)
    }

    @Test(arguments: [
        ("a,", "found '', expected: identifier after ','"), (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        (
            "a>x",
            #"unable to parse requirement: values[0]: Invalid value: "x": for 'Gt', 'Lt' operators, the value must be an integer"#
        ),
    ])
    func `refusals name what was found`(text: String, reason: String) {
        let error = #expect(throws: SelectorError.self) { try LabelSelector(parsing: text) }
        #expect(error?.reason == reason)
    }

    @Test(arguments: [
        "-a", "a/b/c", "/a", "A.B/a", "a=" + String(repeating: "x", count: 64), "a=-", String(repeating: "x", count: 64),
    ])
    func `keys and values must be names`(text: String) {
        #expect(throws: SelectorError.self) { try LabelSelector(parsing: text) }
    }

    @Test func `the spec form selects as the text form`() throws {
        let selector = try LabelSelector(reading: [
            "matchLabels": ["app": "list"],
            "matchExpressions": [
                ["key": "n", "operator": "In", "values": ["1", "2"]], ["key": "t", "operator": "DoesNotExist"],
                ["key": "n", "operator": "NotIn", "values": ["3"]], ["key": "n", "operator": "Exists"],
            ],
        ])
        #expect(try selector == LabelSelector(parsing: "app=list,n in (1,2),!t,n!=3,n"))
        #expect(try LabelSelector(reading: [:]).matches([:]))
        #expect(throws: SelectorError.self) {
            try LabelSelector(reading: ["matchExpressions": [["key": "n", "operator": "Near"]]])
        }
        #expect(throws: SelectorError.self) {
            try LabelSelector(reading: ["matchExpressions": [["key": "n", "operator": "In"]]])
        }
        #expect(throws: SelectorError.self) { try LabelSelector(reading: ["matchLabels": ["a": 1]]) }
    }

    @Test(arguments: ["a in (b,c),d!=e,!f,g>1,h<2,i=", "a notin (b,c),d"])
    func `a selector reads back as itself`(text: String) throws {
        let selector = try LabelSelector(parsing: text)
        #expect(try LabelSelector(parsing: selector.description) == selector)
    }

    @Test func `every beginning of a selector is taken or refused`() {
        let text = "app in (a, b),!c, example.com/d != e,f>1"
        for count in 0...text.utf8.count {
            let prefix = String(decoding: text.utf8.prefix(count), as: UTF8.self)
            guard let selector = try? LabelSelector(parsing: prefix) else { continue }
            #expect((try? LabelSelector(parsing: selector.description)) == selector, "\(prefix)")
        }
    }
}

@Suite struct `Field selector` {
    @Test func `the recorded refusal is worded as recorded`() throws {
        let selector = try FieldSelector(parsing: "spec.size=3")
        let error = #expect(throws: SelectorError.self) { try selector.check(selectable: ["spec.color"]) }
        #expect(error?.reason == Recording["cr-list-field-unsupported"].body["message"]?.stringValue)
        try FieldSelector(parsing: "spec.color=red,metadata.name=x,metadata.namespace!=y").check(selectable: ["spec.color"])
    }

    @Test(arguments: [
        ("", true), ("metadata.name=w1", true), ("metadata.name!=w1", false), ("spec.color==red,spec.size=9", true),
        ("spec.none=", true),
        ("spec.none!=x", true), ("spec.flag=true", true), (",metadata.name=w1,", true),
    ])
    func `fields are compared by their text`(text: String, matches: Bool) throws {
        let object: JSONObject = ["metadata": ["name": "w1"], "spec": ["color": "red", "size": 9, "flag": true]]
        #expect(try FieldSelector(parsing: text).matches(object) == matches)
    }

    @Test func `escapes stand for themselves`() throws {
        let selector = try FieldSelector(parsing: #"a=x\,y\=z\\,b=c"#)
        #expect(selector.requirements == [.init(path: "a", value: #"x,y=z\"#), .init(path: "b", value: "c")])
        #expect(try FieldSelector(parsing: selector.description) == selector)
    }

    @Test(arguments: ["a", "a,b=c", #"a=\x"#, #"a=b\"#, "a=b=c"])
    func `what is no selector is refused`(text: String) {
        #expect(throws: SelectorError.self) { try FieldSelector(parsing: text) }
    }

    @Test func `every beginning of a selector is taken or refused`() {
        let text = #"metadata.name==a\,b,spec.x!=y,z=\\"#
        for count in 0...text.utf8.count {
            let prefix = String(decoding: text.utf8.prefix(count), as: UTF8.self)
            guard let selector = try? FieldSelector(parsing: prefix) else { continue }
            #expect((try? FieldSelector(parsing: selector.description)) == selector, "\(prefix)")
        }
    }
}
