import KarsCore
import Testing

@testable import Kars

@Suite struct `System call filter` {
    typealias Architecture = SystemCallProfile.Architecture
    typealias Outcome = SystemCallFilter.Outcome

    /// Runs a program as the kernel would on one call.
    static func decide(_ program: [FilterInstruction], architecture: UInt32, number: UInt32, _ arguments: [UInt32] = [])
        -> UInt32?
    {
        var data = [UInt32](repeating: 0, count: 16)
        data[0] = number
        data[1] = architecture
        for (index, argument) in arguments.enumerated() { data[4 + 2 * index] = argument }
        var accumulator: UInt32 = 0, at = 0
        while program.indices.contains(at) {
            let instruction = program[at]
            at += 1
            switch instruction.code {
            case FilterInstruction.loadWord: accumulator = data[Int(instruction.operand / 4)]
            case FilterInstruction.jumpEqual:
                at += Int(accumulator == instruction.operand ? instruction.jumpIfTrue : instruction.jumpIfFalse)
            case FilterInstruction.jumpGreater:
                at += Int(accumulator > instruction.operand ? instruction.jumpIfTrue : instruction.jumpIfFalse)
            case FilterInstruction.jumpAnyBit:
                at += Int(accumulator & instruction.operand != 0 ? instruction.jumpIfTrue : instruction.jumpIfFalse)
            case FilterInstruction.result: return instruction.operand
            default: return nil
            }
        }
        return nil
    }

    static func number(_ name: String, on architecture: Architecture) -> UInt32? {
        SystemCallProfile.calls(on: architecture).first { $0.name == name }?.number
    }

    @Test(arguments: Architecture.allCases)
    func `every number gets an answer, and only listed ones are let through`(architecture: Architecture) {
        let program = SystemCallFilter.compile(for: architecture)
        let allowed = Set(SystemCallProfile.calls(on: architecture).filter { $0.name != "clone3" }.map(\.number))
        for number in UInt32(0)..<600 {
            let outcome = Self.decide(program, architecture: architecture.auditValue, number: number, [1])
            if allowed.contains(number) {
                #expect(outcome == Outcome.allow, "\(number)")
            } else {
                #expect(outcome == Outcome.notPermitted || outcome == Outcome.noSuchCall, "\(number)")
            }
        }
        #expect(program.count < 4_096)
    }

    @Test func `another architecture and the x32 numbers end the process`() {
        let program = SystemCallFilter.compile(for: .amd64)
        #expect(Self.decide(program, architecture: 0x4000_0003, number: 1) == Outcome.killProcess)
        #expect(Self.decide(program, architecture: Architecture.arm64.auditValue, number: 1) == Outcome.killProcess)
        #expect(Self.decide(program, architecture: Architecture.amd64.auditValue, number: 0x4000_0001) == Outcome.killProcess)
    }

    @Test(
        arguments: Architecture.allCases,
        [UInt32(0x0002_0000), 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000])
    func `clone makes processes and threads but no namespace`(architecture: Architecture, flag: UInt32) throws {
        let program = SystemCallFilter.compile(for: architecture), clone = try #require(Self.number("clone", on: architecture))
        #expect(Self.decide(program, architecture: architecture.auditValue, number: clone, [17]) == Outcome.allow)
        #expect(Self.decide(program, architecture: architecture.auditValue, number: clone, [0x3D_0F00]) == Outcome.allow)
        #expect(Self.decide(program, architecture: architecture.auditValue, number: clone, [17 | flag]) == Outcome.notPermitted)
    }

    @Test(arguments: Architecture.allCases)
    func `clone3 does not exist, so that libraries take clone`(architecture: Architecture) {
        let program = SystemCallFilter.compile(for: architecture)
        #expect(Self.decide(program, architecture: architecture.auditValue, number: 435) == Outcome.noSuchCall)
    }

    @Test(arguments: [(UInt32(1), true), (2, true), (10, true), (16, true), (17, false), (38, false), (40, false), (44, false)])
    func `sockets are of families that a network namespace confines`(family: UInt32, isAllowed: Bool) {
        let program = SystemCallFilter.compile(for: .amd64)
        let outcome = Self.decide(program, architecture: Architecture.amd64.auditValue, number: 41, [family])
        #expect(outcome == (isAllowed ? Outcome.allow : Outcome.noSuchFamily))
    }

    @Test(arguments: [(UInt32(0x5412), false), (0x541C, false), (0x5413, true), (0x5401, true)])
    func `no terminal can be typed into`(control: UInt32, isAllowed: Bool) {
        let program = SystemCallFilter.compile(for: .amd64)
        let outcome = Self.decide(program, architecture: Architecture.amd64.auditValue, number: 16, [0, control])
        #expect(outcome == (isAllowed ? Outcome.allow : Outcome.notPermitted))
    }

    @Test(arguments: [
        "ptrace", "mount", "unshare", "setns", "process_vm_readv", "pidfd_getfd", "bpf", "keyctl", "io_uring_setup", "chroot",
    ])
    func `what reaches outside is not listed`(name: String) {
        for architecture in Architecture.allCases { #expect(Self.number(name, on: architecture) == nil) }
    }
}
