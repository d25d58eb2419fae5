import KarsCore
import Testing

@testable import Kars

@Suite struct `Environment reader` {
    enum Mode: String, CaseIterable { case learn, strict }

    /// As `#expect(a == b)`, for calls that mutate, which the macro cannot take apart.
    func same<Value: Equatable>(_ a: Value, _ b: Value, at location: SourceLocation = #_sourceLocation) {
        #expect(a == b, sourceLocation: location)
    }

    @Test func `every problem is collected, then reported at once`() {
        var reader = EnvironmentReader(values: ["PORT": "70000", "MODE": "loud", "WAIT": "1.5", "ON": "maybe", "DIR": "tmp"])
        same(reader.port("PORT", or: 8443), 8443)
        same(reader.choice("MODE", or: Mode.strict), .strict)
        same(reader.seconds("WAIT", in: 1...60, or: 25), .seconds(25))
        same(reader.flag("ON", or: true), true)
        same(reader.absolutePath("DIR", or: "/var"), "/var")
        same(reader.required("NAME"), "")
        let error = #expect(throws: EnvironmentError.self) { try reader.finish() }
        #expect(
            error?.problems == [
                "PORT=70000: expected a whole number from 1 to 65535", "MODE=loud: expected one of learn, strict",
                "WAIT=1.5: expected whole seconds from 1 to 60", "ON=maybe: expected true or false",
                "DIR=tmp: expected an absolute path", "NAME: must be set",
            ])
    }

    @Test func `what is set well is taken, what is unset or empty falls back`() throws {
        var reader = EnvironmentReader(values: [
            "PORT": "1", "MODE": "learn", "WAIT": "60", "ON": "Yes", "DIR": "/x", "NAME": "n", "LIST": "a, b,,c ", "EMPTY": "",
        ])
        same(reader.port("PORT", or: 8443), 1)
        same(reader.choice("MODE", or: Mode.strict), .learn)
        same(reader.seconds("WAIT", in: 1...60, or: 25), .seconds(60))
        same(reader.milliseconds("EMPTY", in: 1...60, or: 25), .milliseconds(25))
        same(reader.flag("ON", or: false), true)
        same(reader.absolutePath("DIR", or: "/var"), "/x")
        same(reader.required("NAME"), "n")
        #expect(reader.list("LIST") == ["a", "b", "c"])
        #expect(reader.text("EMPTY", or: "fallback") == "fallback")
        same(reader.integer("NONE", in: 0...9, or: 7), 7)
        try reader.finish()
    }

    @Test func `a secret does not print`() {
        let reader = EnvironmentReader(values: ["TOKEN": "hunter2"])
        #expect(reader.secret("TOKEN")?.reveal() == "hunter2")
        #expect("\(String(describing: reader.secret("TOKEN")))".contains("hunter2") == false)
    }

    @Test func `the environment of the process is read`() {
        #expect(EnvironmentReader.ofProcess().text("PATH") != nil)
    }
}
