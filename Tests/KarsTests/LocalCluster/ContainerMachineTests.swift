import KarsCore
import Testing

@testable import Kars

@Suite struct `Container machine` {
    static func at(_ duration: Duration) -> Instant { Instant(nanoseconds: 0).advanced(by: duration) }

    @Test func `crashes wait twice as long each time, up to five minutes`() {
        var machine = ContainerMachine(policy: .always), now = Self.at(.zero), delays: [Duration] = []
        for _ in 0..<18 {
            machine.started(now: now)
            guard case .startAgain(let due) = machine.ended(code: 1, now: now) else { continue }
            delays.append(due.duration(since: now))
            now = due
        }
        #expect(delays.prefix(4) == [.milliseconds(10), .milliseconds(20), .milliseconds(40), .milliseconds(80)])
        #expect(delays.suffix(3) == [.seconds(300), .seconds(300), .seconds(300)])
        #expect(machine.restartCount == 18)
        #expect(machine.isCrashLooping)
    }

    @Test func `ten minutes of running forgive`() {
        var machine = ContainerMachine(policy: .always)
        for _ in 0..<10 {
            machine.started(now: Self.at(.zero))
            _ = machine.ended(code: 1, now: Self.at(.zero))
        }
        machine.started(now: Self.at(.zero))
        #expect(
            machine.ended(code: 1, now: Self.at(.seconds(600))) == .startAgain(at: Self.at(.seconds(600) + .milliseconds(10))))
        #expect(!machine.isCrashLooping)
    }

    @Test(arguments: [
        (PodSpec.RestartPolicy.always, Int32(0), true), (.always, 1, true), (.onFailure, 0, false), (.onFailure, 137, true),
        (.never, 1, false),
    ])
    func `the restart policy decides`(policy: PodSpec.RestartPolicy, code: Int32, isRestarted: Bool) {
        var machine = ContainerMachine(policy: policy)
        machine.started(now: Self.at(.zero))
        let action = machine.ended(code: code, now: Self.at(.zero))
        #expect((action != .stayEnded) == isRestarted)
        #expect(machine.lastExitCode == code)
    }

    @Test func `a loop is called one after the third failure in a row, and not while it runs`() {
        var machine = ContainerMachine(policy: .always), now = Self.at(.zero)
        for failures in 1...4 {
            machine.started(now: now)
            #expect(machine.isRunning && !machine.isCrashLooping)
            guard case .startAgain(let due) = machine.ended(code: 1, now: now) else {
                Issue.record("stayed ended")
                return
            }
            #expect(machine.state == .backingOff(until: due))
            #expect(machine.isCrashLooping == (failures > 2))
            now = due
        }
    }

    @Test func `just under ten minutes of running forgives nothing`() {
        var machine = ContainerMachine(policy: .always)
        for _ in 0..<3 {
            machine.started(now: Self.at(.zero))
            _ = machine.ended(code: 1, now: Self.at(.zero))
        }
        let end = Self.at(.seconds(600) - .nanoseconds(1))
        machine.started(now: Self.at(.zero))
        #expect(machine.ended(code: 1, now: end) == .startAgain(at: end.advanced(by: .milliseconds(80))))
    }
}
