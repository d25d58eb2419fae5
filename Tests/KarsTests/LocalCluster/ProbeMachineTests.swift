import KarsCore
import Testing

@testable import Kars

@Suite struct `Probe machine` {
    static func machine(period: Int = 10, successes: Int = 1, failures: Int = 3) -> ProbeMachine {
        var probe = Probe(.tcp(port: 1), periodSeconds: period, failureThreshold: failures)
        probe.successThreshold = successes
        return ProbeMachine(probe)
    }

    @Test func `it turns after its thresholds and says when it turned`() {
        var probe = Self.machine(failures: 2)
        #expect(probe.record(success: false) == false && probe.passes == nil)
        #expect(probe.record(success: true) && probe.passes == true)
        #expect(probe.record(success: false) == false && probe.passes == true)
        #expect(probe.record(success: false) && probe.passes == false)
        #expect(probe.record(success: false) == false)
    }

    @Test func `a success between failures starts their count anew`() {
        var probe = Self.machine(failures: 3)
        for _ in 0..<10 {
            _ = probe.record(success: true)
            _ = probe.record(success: false)
            _ = probe.record(success: false)
            #expect(probe.passes == true)
        }
    }

    @Test func `several successes in a row may be asked for`() {
        var probe = Self.machine(successes: 3)
        for success in [true, true, false, true, true] {
            #expect(probe.record(success: success) == false && probe.passes == nil)
        }
        #expect(probe.record(success: true) && probe.passes == true)
    }

    @Test func `a start is watched closely, then less and less, never more rarely than the period`() {
        var probe = Self.machine(period: 1, failures: 30), delays: [Duration] = []
        for _ in 0..<100 {
            delays.append(probe.delay(isReadiness: true))
            _ = probe.record(success: false)
        }
        #expect(delays[0] == .milliseconds(50) && delays[15] == .milliseconds(50) && delays[16] == .milliseconds(100))
        #expect(delays[99] == .seconds(1))
        #expect(delays == delays.sorted())
    }

    @Test func `what has passed once, and liveness always, keeps to its period`() {
        var probe = Self.machine(period: 7, failures: 1)
        #expect(probe.delay(isReadiness: false) == .seconds(7))
        #expect(probe.record(success: true) && probe.passes == true)
        #expect(probe.delay(isReadiness: true) == .seconds(7))
        #expect(probe.record(success: false) && probe.passes == false)
        #expect(probe.delay(isReadiness: true) == .seconds(7))
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK", true), ("HTTP/1.0 204", true), ("HTTP/1.1 399", true), ("HTTP/1.1 400", false),
        ("HTTP/1.1 503 No", false),
        ("HTTP/1.1 199", false), ("HTTP/1.1 20", false), ("HTTP/1.1 2x0", false), ("HTTP/2.0 200", false), ("", false),
        ("SSH-2.0-OpenSSH", false), ("HTTP/1.1  200", false),
    ])
    func `a status from 200 to 399 is a success`(answer: String, isSuccess: Bool) {
        #expect(ProbeAnswer.isSuccess(Array(answer.utf8)) == isSuccess)
    }

    @Test func `no beginning of an answer is taken for one`() {
        let answer = Array("HTTP/1.1 200".utf8)
        for length in 0..<answer.count { #expect(!ProbeAnswer.isSuccess(answer[..<length]), "\(length)") }
    }
}
