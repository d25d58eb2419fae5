import KarsCore
import Testing

@testable import Kars

/// The profile as a file for container runtimes, held to the filter that the local cluster compiles from the same list.
@Suite struct `System call profile as a file` {
    /// What a container runtime makes of the file: EPERM unless a rule lets the call through.
    static func allows(_ name: String, _ arguments: [UInt64]) -> Bool {
        (SystemCallProfile.ociProfile["syscalls"]?.arrayValue ?? []).contains { rule in
            guard rule["action"] == "SCMP_ACT_ALLOW", rule["names"]?.arrayValue?.contains(.string(name)) == true else {
                return false
            }
            return (rule["args"]?.arrayValue ?? []).allSatisfy { argument in
                guard argument["op"] == "SCMP_CMP_MASKED_EQ", let index = argument["index"]?.intValue,
                    let mask = argument["value"]?.intValue, let value = argument["valueTwo"]?.intValue
                else { return false }
                return arguments[index] & UInt64(mask) == UInt64(value)
            }
        }
    }

    /// What the compiled filter says; the kernel looks at the lower halves.
    static func filterAllows(_ name: String, _ arguments: [UInt64]) throws -> Bool {
        let number = try #require(`System call filter`.number(name, on: .amd64))
        let outcome = `System call filter`.decide(
            SystemCallFilter.compile(for: .amd64), architecture: SystemCallProfile.Architecture.amd64.auditValue, number: number,
            arguments.map { UInt32(truncatingIfNeeded: $0) })
        return outcome == SystemCallFilter.Outcome.allow
    }

    @Test func `file and filter let the same calls through`() throws {
        for call in SystemCallProfile.calls(on: .amd64) where !["clone", "clone3", "socket", "ioctl"].contains(call.name) {
            #expect(try Self.allows(call.name, [0, 0, 0]) && Self.filterAllows(call.name, [0, 0, 0]), "\(call.name)")
        }
        for name in ["ptrace", "mount", "bpf", "process_vm_readv", "pidfd_getfd", "io_uring_setup", "setuid", "clone3"] {
            #expect(!Self.allows(name, [0, 0, 0]), "\(name)")
        }
    }

    @Test func `clone makes no namespace`() throws {
        for bit in 0..<64 {
            let flags = UInt64(1) << bit
            #expect(try Self.allows("clone", [flags]) == Self.filterAllows("clone", [flags]), "bit \(bit)")
        }
        #expect(!Self.allows("clone", [0x1000_0000]) && Self.allows("clone", [0x0001_0f00]))
    }

    @Test func `sockets are of four families`() throws {
        for family in UInt64(0)..<64 {
            #expect(try Self.allows("socket", [family]) == Self.filterAllows("socket", [family]), "\(family)")
        }
        #expect(!Self.allows("socket", [40]), "vsock reaches the hypervisor")
    }

    /// Also with something in the half that the kernel does not look at.
    @Test(arguments: [0, 1, 0x8000_0000] as [UInt64])
    func `no terminal is typed into`(upper: UInt64) throws {
        for control in UInt64(0x5400)...0x5430 {
            let arguments = [0, upper << 32 | control]
            #expect(try Self.allows("ioctl", arguments) == Self.filterAllows("ioctl", arguments), "\(control)")
        }
        #expect(!Self.allows("ioctl", [0, upper << 32 | 0x5412]) && !Self.allows("ioctl", [0, upper << 32 | 0x541C]))
        for bit in 0..<32 {
            let arguments = [0, upper << 32 | 0x5412 ^ UInt64(1) << bit]
            #expect(try Self.allows("ioctl", arguments) == Self.filterAllows("ioctl", arguments), "bit \(bit)")
        }
    }

    @Test func `the file is one that container runtimes read`() {
        let profile = SystemCallProfile.ociProfile
        #expect(profile["defaultAction"] == "SCMP_ACT_ERRNO" && profile["defaultErrnoRet"] == 1)
        #expect(profile["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"])
        let names = (profile["syscalls"]?.arrayValue ?? []).flatMap { $0["names"]?.arrayValue ?? [] }.compactMap(\.stringValue)
        #expect(names.contains("getpgid") && names.contains("getsid"), "the two that copies elsewhere lost")
        #expect(Set(names).isSuperset(of: SystemCallProfile.calls(on: .arm64).map(\.name)))
        #expect(SystemCallProfile.localhostPath == "profiles/kars-strict.json")
    }
}
