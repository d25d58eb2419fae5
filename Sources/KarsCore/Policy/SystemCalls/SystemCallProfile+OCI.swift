/// The profile as container runtimes read it (OCI runtime specification, `linux.seccomp`; Kubernetes `Localhost` profiles).
///
/// Arguments are compared with 64 bits by the runtime and used with 32 by the kernel, so that every comparison is of the lower half: a value
/// with something in the upper half is the same call.
extension SystemCallProfile {
    /// What a pod's `seccompProfile.localhostProfile` says.
    package static let localhostPath = "profiles/\(name).json"
    package static let name = "kars-strict"

    package static var ociProfile: JSON {
        let plain = Set(Architecture.allCases.flatMap { calls(on: $0).map(\.name) })
            .subtracting(["clone", "clone3", "socket", "ioctl"])
        var rules: [JSON] = [rule(plain.sorted(), allow), rule(["clone3"], ["action": "SCMP_ACT_ERRNO", "errnoRet": 38])]
        rules.append(rule(["clone"], allow, where: [equal(0, mask: UInt64(namespaceFlags), 0)]))
        rules += socketFamilies.map { rule(["socket"], allow, where: [equal(0, mask: lowerHalf, $0)]) }
        rules += controlsLetThrough.map { rule(["ioctl"], allow, where: [$0]) }
        return [
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"], "syscalls": .array(rules),
        ]
    }

    private static let lowerHalf: UInt64 = 0xFFFF_FFFF
    private static let allow: JSONObject = ["action": "SCMP_ACT_ALLOW"]

    private static func rule(_ names: [String], _ action: JSONObject, where arguments: [JSON] = []) -> JSON {
        var rule: JSONObject = ["names": .array(names.map(JSON.string))]
        for (key, value) in action { rule[key] = value }
        if !arguments.isEmpty { rule["args"] = .array(arguments) }
        return .object(rule)
    }

    private static func equal(_ index: Int, mask: UInt64, _ value: UInt32) -> JSON {
        [
            "index": .int(index), "value": .int(Int(mask)), "valueTwo": .int(Int(value)), "op": "SCMP_CMP_MASKED_EQ",
        ]
    }

    /// Comparisons of which one holds for every number but those refused. A rule can only say what it lets through, and runtimes take
    /// two comparisons of one argument for alternatives; so this goes from the highest bit to the lowest and lets through whatever
    /// leaves the numbers refused there.
    private static var controlsLetThrough: [JSON] {
        var rules: [JSON] = []
        /// Numbers refused that agree in all bits above `bit`.
        func descend(_ refused: [UInt32], bit: Int, prefix: UInt32) {
            guard bit >= 0 else { return }
            let above = bit == 31 ? 0 : ~UInt32(0) << (bit + 1)
            for half in [UInt32(0), 1 << bit] {
                let inside = refused.filter { $0 & (1 << bit) == half }
                if inside.isEmpty {
                    rules.append(equal(1, mask: UInt64(above | 1 << bit), prefix | half))
                } else {
                    descend(inside, bit: bit - 1, prefix: prefix | half)
                }
            }
        }
        descend(refusedControls, bit: 31, prefix: 0)
        return rules
    }
}
