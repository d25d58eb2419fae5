import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a machine must have to run sandboxes, each thing it lacks with the command that mends it.
enum LocalPrerequisites {
    struct Problem: Error, Equatable, CustomStringConvertible, Sendable {
        var message: String
        /// For a shell, as it stands.
        var fix: String

        var description: String { "\(message). To mend it: \(fix)" }
    }

    /// What is looked at, so that every answer can be tried.
    struct Machine: Sendable {
        var isRoot: Bool
        var userName: String
        var hasMapping: Bool
        var kernel: (major: Int, minor: Int)
        /// nil when the file does not exist.
        var setting: @Sendable (_ path: String) -> String?
        var program: @Sendable (_ name: String) -> String?
        /// 0, or why the device could not be opened.
        var tunError: Int32

        static func this() -> Machine {
            var names = utsname()
            uname(&names)
            let release = withUnsafeBytes(of: &names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            let numbers = release.split(whereSeparator: { $0 == "." || $0 == "-" }).prefix(2).map { Int($0) ?? 0 }
            return Machine(
                isRoot: geteuid() == 0, userName: UserMapping.userName() ?? "\(geteuid())",
                hasMapping: geteuid() == 0 || UserMapping.ofOrdinaryUser() != nil,
                kernel: (numbers.first ?? 0, numbers.dropFirst().first ?? 0),
                setting: { path in
                    // A setting that the kernel does not have cannot be in the way.
                    (try? Files.read(path, upTo: 4_096)).map { String(decoding: $0, as: UTF8.self).trimmingWhitespace() }
                }, program: Programs.find, tunError: kars_can_open_tun() == 0 ? 0 : errno)
        }
    }

    static func check(_ machine: Machine = .this()) -> [Problem] {
        var problems: [Problem] = []
        let sudo = machine.isRoot ? "" : "sudo "
        if machine.kernel < (5, 12) {
            problems.append(
                Problem(
                    message: "Linux \(machine.kernel.major).\(machine.kernel.minor) is too old, 5.12 is needed",
                    fix: "\(sudo)apt-get install linux-image-amd64"))
        }
        for (path, closed, value) in [
            ("user/max_user_namespaces", "0", "15000"), ("user/max_net_namespaces", "0", "15000"),
            ("kernel/unprivileged_userns_clone", "0", "1"), ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
        ] where machine.setting("/proc/sys/\(path)") == closed && (!machine.isRoot || path.hasPrefix("user/")) {
            let name = path.split(separator: "/").joined(separator: ".")
            problems.append(
                Problem(message: "user namespaces are closed (\(name) is \(closed))", fix: "\(sudo)sysctl -w \(name)=\(value)"))
        }
        var programs = [("pasta", "passt"), ("iptables-restore", "iptables"), ("ip6tables-restore", "iptables")]
        if !machine.isRoot { programs += [("newuidmap", "uidmap"), ("newgidmap", "uidmap")] }
        let missing = programs.filter { machine.program($0.0) == nil }
        if !missing.isEmpty {
            let packages = missing.map(\.1).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
            problems.append(
                Problem(
                    message: "not installed: \(missing.map(\.0).joined(separator: ", "))",
                    fix: "\(sudo)apt-get install -y \(packages.joined(separator: " "))"))
        }
        if !machine.hasMapping {
            problems.append(
                Problem(
                    message: "user \(machine.userName) has no subordinate ids in /etc/subuid and /etc/subgid",
                    fix: "sudo usermod --add-subuids 165536-231071 --add-subgids 165536-231071 \(machine.userName)"))
        }
        switch machine.tunError {
        case 0: break
        case ENOENT, ENODEV, ENXIO: problems.append(Problem(message: "/dev/net/tun is missing", fix: "\(sudo)modprobe tun"))
        case let error where !machine.isRoot || error != EBUSY:
            problems.append(
                Problem(message: "/dev/net/tun is closed to \(machine.userName)", fix: "\(sudo)chmod 0666 /dev/net/tun"))
        default: break
        }
        return problems
    }
}
