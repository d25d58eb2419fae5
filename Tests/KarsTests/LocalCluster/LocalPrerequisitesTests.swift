import Testing

@testable import Kars

@Suite struct `Local prerequisites` {
    static func machine(
        isRoot: Bool = false, mapping: Bool = true, settings: [String: String] = [:], missing: Set<String> = [],
        tunError: Int32 = 0,
        kernel: (Int, Int) = (6, 1)
    ) -> LocalPrerequisites.Machine {
        LocalPrerequisites.Machine(
            isRoot: isRoot, userName: "me", hasMapping: mapping, kernel: kernel, setting: { settings[$0] },
            program: { missing.contains($0) ? nil : "/usr/bin/\($0)" }, tunError: tunError)
    }

    @Test func `a machine that has everything has no problem`() {
        #expect(LocalPrerequisites.check(Self.machine()) == [])
        #expect(LocalPrerequisites.check(Self.machine(isRoot: true, missing: ["newuidmap", "newgidmap"])) == [])
    }

    @Test(arguments: [
        (machine(missing: ["pasta"]), "sudo apt-get install -y passt"),
        (
            machine(isRoot: true, missing: ["pasta", "iptables-restore", "ip6tables-restore"]),
            "apt-get install -y passt iptables"
        ),
        (machine(missing: ["newuidmap"]), "sudo apt-get install -y uidmap"),
        (machine(mapping: false), "sudo usermod --add-subuids 165536-231071 --add-subgids 165536-231071 me"),
        (machine(tunError: 13), "sudo chmod 0666 /dev/net/tun"), (machine(tunError: 2), "sudo modprobe tun"),
        (machine(settings: ["/proc/sys/user/max_user_namespaces": "0"]), "sudo sysctl -w user.max_user_namespaces=15000"),
        (
            machine(settings: ["/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"]),
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        ),
        (machine(kernel: (5, 10)), "sudo apt-get install linux-image-amd64"),
    ])
    func `each thing a machine lacks comes with the command that mends it`(machine: LocalPrerequisites.Machine, fix: String) {
        #expect(LocalPrerequisites.check(machine).map(\.fix) == [fix])
    }
}
