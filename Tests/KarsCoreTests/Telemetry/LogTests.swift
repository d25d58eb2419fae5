import KarsCore
import KarsTesting
import Synchronization
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct `Structured log` {
    @Test func `a line has time, level, event and the fields in order`() {
        let probe = LogProbe()
        probe.log.info(
            "tls.handshake.failed",
            [
                "peer": "10.0.0.1:443", "attempt": 3, "took": .duration(.microseconds(1_042)), "fatal": true, "ratio": 0.5,
                "alpn": .strings(["h2", "http/1.1"]), "rule": .null,
            ])
        #expect(
            probe.lines == [
                #"{"ts":"2026-01-02T03:04:05.678Z","level":"info","event":"tls.handshake.failed","peer":"10.0.0.1:443","#
                    + #""attempt":3,"took":1.042,"fatal":true,"ratio":0.5,"alpn":["h2","http/1.1"],"rule":null}"# + "\n"
            ])
    }

    @Test(arguments: [
        ("line\nbreak", #"line\nbreak"#), ("quote\"back\\slash", #"quote\"back\\slash"#), ("\u{1b}[2J", #"\u001b[2J"#),
        ("nul\0", #"nul\u0000"#), ("c1\u{9b}31m", #"c1\u009b31m"#), ("bidi\u{202e}x", #"bidi\u202ex"#),
        ("del\u{7f}", #"del\u007f"#), ("é漢😀", "é漢😀"), ("\u{8}\u{c}\t\r", #"\b\f\t\r"#),
    ])
    func `a value cannot leave its line or drive a terminal`(value: String, written: String) {
        let probe = LogProbe()
        probe.log.warn("test", ["value": .string(value)])
        #expect(probe.lines.first?.hasSuffix(#""value":"\#(written)"}"# + "\n") == true)
    }

    @Test func `lines below the level are not made`() {
        let probe = LogProbe(level: .warn)
        func costly() -> LogValue {
            Issue.record("fields of a silent line were evaluated")
            return .null
        }
        probe.log.debug("a", ["x": costly()])
        probe.log.info("b", ["x": costly()])
        probe.log.warn("c")
        probe.log.error("d")
        #expect(probe.lines.count == 2)
    }

    @Test func `a secret prints as redacted even through interpolation`() {
        let probe = LogProbe()
        let secret = Secret("hunter2")
        probe.log.error("test", ["text": .string("key \(secret)")])
        #expect(probe.lines.first?.contains("hunter2") == false)
    }

    @Test func `fields of the context come first and stay with the copy`() {
        let probe = LogProbe()
        let child = probe.log.with(["trace_id": "abc"])
        child.info("one", ["n": 1])
        probe.log.info("two")
        #expect(probe.lines[0].hasSuffix(#""event":"one","trace_id":"abc","n":1}"# + "\n"))
        #expect(probe.lines[1].hasSuffix(#""event":"two"}"# + "\n"))
    }

    @Test func `a long value is cut at a whole character and says so`() {
        let probe = LogProbe()
        probe.log.info("test", ["value": .string(String(repeating: "é", count: 4000))])
        #expect(probe.lines[0].hasSuffix(String(repeating: "é", count: Log.maxValueBytes / 2) + "…\"}\n"))
    }

    @Test func `each line reaches the descriptor in one piece`() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let log = Log(level: .info, descriptor: ends[1])
        log.info("one")
        log.info("two")
        close(ends[1])
        var bytes = [UInt8](repeating: 0, count: 1000)
        let count = read(ends[0], &bytes, bytes.count)
        close(ends[0])
        let lines = String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines.allSatisfy { $0.hasPrefix(#"{"ts":"20"#) && $0.hasSuffix("}") })
    }
}
