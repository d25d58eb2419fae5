import KarsCore

/// One instruction of the kernel's packet filter machine (struct sock_filter): four fields, eight bytes, no padding.
struct FilterInstruction: Equatable, Sendable {
    var code: UInt16
    var jumpIfTrue: UInt8
    var jumpIfFalse: UInt8
    var operand: UInt32

    init(_ code: UInt16, _ operand: UInt32, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0) {
        self.code = code
        self.operand = operand
        jumpIfTrue = ifTrue
        jumpIfFalse = ifFalse
    }

    static let loadWord: UInt16 = 0x20  // BPF_LD | BPF_W | BPF_ABS
    static let jumpEqual: UInt16 = 0x15  // BPF_JMP | BPF_JEQ | BPF_K
    static let jumpGreater: UInt16 = 0x25  // BPF_JMP | BPF_JGT | BPF_K
    static let jumpAnyBit: UInt16 = 0x45  // BPF_JMP | BPF_JSET | BPF_K
    static let result: UInt16 = 0x06  // BPF_RET | BPF_K
}

/// Compiles a profile to the program that the kernel runs before each system call. Pure: equal profiles, equal bytes.
///
/// A call of another architecture ends the process, because its numbers mean something else. Everything not listed is EPERM.
/// Beyond names, arguments are looked at where a permitted call has a way out of the sandbox: `clone` with new namespaces,
/// `socket` for families that no network namespace confines (vsock reaches the hypervisor), and `ioctl` that types into
/// a terminal. `clone3` keeps its flags in memory where a filter cannot read them: ENOSYS makes libraries use `clone`.
enum SystemCallFilter {
    enum Outcome {
        static let allow: UInt32 = 0x7FFF_0000
        static let killProcess: UInt32 = 0x8000_0000
        static func fail(_ error: UInt32) -> UInt32 { 0x0005_0000 | error }
        static let notPermitted = fail(1)
        static let noSuchCall = fail(38)
        static let noSuchFamily = fail(97)
    }

    // Offsets in struct seccomp_data; arguments are 64 bits wide and little-endian on both architectures.
    private static let numberOffset: UInt32 = 0
    private static let architectureOffset: UInt32 = 4
    private static func argument(_ index: UInt32) -> UInt32 { 16 + 8 * index }

    static func compile(for architecture: SystemCallProfile.Architecture) -> [FilterInstruction] {
        var program = [
            FilterInstruction(FilterInstruction.loadWord, architectureOffset),
            FilterInstruction(FilterInstruction.jumpEqual, architecture.auditValue, ifTrue: 1),
            FilterInstruction(FilterInstruction.result, Outcome.killProcess),
            FilterInstruction(FilterInstruction.loadWord, numberOffset),
        ]
        if architecture == .amd64 {
            // The x32 numbers are the same calls by another name.
            program += [
                FilterInstruction(FilterInstruction.jumpAnyBit, 0x4000_0000, ifFalse: 1),
                FilterInstruction(FilterInstruction.result, Outcome.killProcess),
            ]
        }
        for call in SystemCallProfile.calls(on: architecture) {
            let body = rule(for: call.name)
            program.append(FilterInstruction(FilterInstruction.jumpEqual, call.number, ifFalse: UInt8(body.count)))
            program += body
        }
        return program + [
            FilterInstruction(FilterInstruction.jumpGreater, SystemCallProfile.newestKnown, ifFalse: 1),
            FilterInstruction(FilterInstruction.result, Outcome.noSuchCall),
            FilterInstruction(FilterInstruction.result, Outcome.notPermitted),
        ]
    }

    /// Ends in a result whatever the arguments are.
    private static func rule(for name: String) -> [FilterInstruction] {
        let allow = FilterInstruction(FilterInstruction.result, Outcome.allow)
        switch name {
        case "clone":
            return [
                FilterInstruction(FilterInstruction.loadWord, argument(0)),
                FilterInstruction(FilterInstruction.jumpAnyBit, SystemCallProfile.namespaceFlags, ifFalse: 1),
                FilterInstruction(FilterInstruction.result, Outcome.notPermitted), allow,
            ]
        case "clone3":
            return [FilterInstruction(FilterInstruction.result, Outcome.noSuchCall)]
        case "socket":
            return choice(
                among: SystemCallProfile.socketFamilies, of: argument(0), then: Outcome.allow, otherwise: Outcome.noSuchFamily)
        case "ioctl":
            return choice(
                among: SystemCallProfile.refusedControls, of: argument(1), then: Outcome.notPermitted, otherwise: Outcome.allow)
        default:
            return [allow]
        }
    }

    private static func choice(
        among values: [UInt32], of offset: UInt32, then match: UInt32, otherwise: UInt32
    ) -> [FilterInstruction] {
        var rule = [FilterInstruction(FilterInstruction.loadWord, offset)]
        for (index, value) in values.enumerated() {
            rule.append(FilterInstruction(FilterInstruction.jumpEqual, value, ifTrue: UInt8(values.count - index)))
        }
        return rule + [
            FilterInstruction(FilterInstruction.result, otherwise), FilterInstruction(FilterInstruction.result, match),
        ]
    }
}
