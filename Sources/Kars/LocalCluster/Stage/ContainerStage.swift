import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The first process of a container: builds its root, starts its command under its user, stays as process 1 and ends with it.
///
/// A fresh execution of kars, so that nothing of the supervisor's memory is in it. Single-threaded, in new mount, process, IPC
/// and host name namespaces and in the pod's network. It ends when the supervisor does: by a signal of the kernel, and by the
/// end of the lifeline pipe; with it, as process 1, ends everything else in the container.
struct ContainerStage {
    /// Descriptors that the supervisor leaves open at fixed numbers.
    enum Inherited {
        static let setup: Int32 = 3
        static let lifeline: Int32 = 4
        /// Closed without a byte once the command runs; otherwise what went wrong.
        static let report: Int32 = 5
        static let userNamespace: Int32 = 6
    }

    let setup: ContainerSetup

    /// What a container may write beside its volumes; it is memory, and counts against the container's limit.
    private static let writableRootBytes = 512 << 20

    /// Never returns: the exit code is the command's, or 128 + its signal.
    static func run() -> Never {
        kars_die_with_parent(SIGKILL)
        kars_set_dumpable(0)
        // The parent may have died before the line above.
        if hasEnded(lifeline: Inherited.lifeline) { exit(137) }
        kars_close_on_exec_from(3)
        let bytes = Descriptors.readAll(Inherited.setup, upTo: 64 << 20)
        close(Inherited.setup)
        do {
            guard let setup = ContainerSetup(json: try JSON(parsing: bytes)) else {
                throw StageError("reading the container's setup", errno: EINVAL)
            }
            let stage = ContainerStage(setup: setup)
            try stage.enterRoot()
            let command = try stage.start()
            close(Inherited.report)
            stage.serveAsFirstProcess(for: command)
        } catch {
            Descriptors.writeAll("\(error)".utf8, to: Inherited.report)
            exit(126)
        }
    }

    static func hasEnded(lifeline: Int32) -> Bool {
        var end = pollfd(fd: lifeline, events: Int16(POLLIN), revents: 0)
        return poll(&end, 1, 0) > 0
    }

    // MARK: The root

    private func enterRoot() throws(StageError) {
        try StageError.check(kars_set_host_name(setup.hostname), "sethostname")
        try StageError.check(kars_make_private("/"), "making mounts private")
        // A base of its own with the machine below /old: sources stay reachable wherever they lie, /tmp included.
        try StageError.check(
            kars_mount("tmpfs", "/tmp", KARS_MOUNT_NO_SETUID | KARS_MOUNT_NO_DEVICES, "mode=0755"), "mounting a base")
        mkdir("/tmp/old", 0o755)
        mkdir("/tmp/new", 0o755)
        try StageError.check(kars_pivot_root("/tmp", "/tmp/old"), "pivot_root to the base")
        chdir("/")
        let id = setup.owner(0)
        let options = setup.readOnlyRoot ? "mode=0755,size=16m" : "mode=0755,size=\(Self.writableRootBytes),uid=\(id),gid=\(id)"
        try StageError.check(
            kars_mount("tmpfs", "/new", KARS_MOUNT_NO_SETUID | KARS_MOUNT_NO_DEVICES, options), "mounting the root")
        umask(0)
        let plan = RootPlan(setup: setup, lister: MachineLister(root: "/old"))
        for step in plan.steps() { try perform(step) }
        try mountProcesses()
        try mountDevices(plan.setup.mounts.filter(\.isDevice))
        if setup.readOnlyRoot {
            try StageError.check(
                kars_restrict_mount("/new", KARS_MOUNT_READ_ONLY | KARS_MOUNT_NO_SETUID | KARS_MOUNT_NO_DEVICES, 0),
                "making the root read-only")
        }
        try StageError.check(kars_change_root("/new"), "pivot_root")
        umask(0o022)
    }

    private func perform(_ step: RootStep) throws(StageError) {
        switch step {
        case .directory(let path, let mode):
            try makeDirectory("/new" + path, mode)
            // Inside, what nobody is mapped to could be written by nobody.
            if !setup.readOnlyRoot { chown("/new" + path, setup.owner(0), setup.owner(0)) }
        case .mountPoint(let path): try makeMountPoint("/new" + path)
        case .link(let path, let target): try StageError.check(symlink(target, "/new" + path), "linking \(path)")
        case .file(let path, let bytes, let mode): try writeFile("/new" + path, bytes, mode: mode, owner: nil)
        case .bind(let source, let path):
            try StageError.check(kars_bind("/old" + source, "/new" + path, 1), "binding \(source)")
            try restrict("/new" + path, readOnly: true, recursive: 1)
        case .hideDirectory(let path):
            try StageError.check(
                kars_mount("tmpfs", "/new" + path, KARS_MOUNT_READ_ONLY, "mode=0000,size=4k"), "hiding \(path)")
        case .hideFile(let path):
            try StageError.check(kars_bind("/new\(RootPlan.place)/none", "/new" + path, 0), "hiding \(path)")
        case .mount(let mount): try perform(mount)
        }
    }

    private func perform(_ mount: ContainerSetup.Mount) throws(StageError) {
        let target = "/new" + mount.path
        switch mount.kind {
        case .bind(let source, let readOnly, let owner):
            if let owner, chown("/old" + source, setup.owner(owner), setup.owner(owner)) != 0 {
                throw StageError("giving \(source) to user \(owner)", errno: errno)
            }
            try StageError.check(kars_bind("/old" + source, target, 0), "mounting \(source) at \(mount.path)")
            try restrict(target, readOnly: readOnly, recursive: 0)
        case .file(let source, let readOnly):
            try StageError.check(kars_bind("/old" + source, target, 0), "mounting \(source) at \(mount.path)")
            try restrict(target, readOnly: readOnly, recursive: 0)
        case .memory(let bytes, let owner):
            let id = setup.owner(owner)
            try StageError.check(
                kars_mount(
                    "tmpfs", target, KARS_MOUNT_NO_SETUID | KARS_MOUNT_NO_DEVICES, "mode=1777,size=\(bytes),uid=\(id),gid=\(id)"),
                "mounting memory at \(mount.path)")
        case .files(let files, let mode, let owner):
            let id = setup.owner(owner)
            try StageError.check(
                kars_mount(
                    "tmpfs", target, KARS_MOUNT_NO_SETUID | KARS_MOUNT_NO_DEVICES | KARS_MOUNT_NO_EXEC,
                    "mode=0500,size=4m,uid=\(id),gid=\(id)"), "mounting secrets at \(mount.path)")
            for (name, bytes) in files { try writeFile("\(target)/\(name)", bytes, mode: UInt32(mode), owner: id) }
            try restrict(target, readOnly: true, recursive: 0)
        }
    }

    private func restrict(_ target: String, readOnly: Bool, recursive: Int32) throws(StageError) {
        let attributes = KARS_MOUNT_NO_SETUID | KARS_MOUNT_NO_DEVICES | (readOnly ? KARS_MOUNT_READ_ONLY : 0)
        try StageError.check(kars_restrict_mount(target, attributes, recursive), "restricting \(target)")
    }

    private func makeDirectory(_ path: String, _ mode: UInt32) throws(StageError) {
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw StageError("making \(path)", errno: errno)
        }
        try makeDirectory(String(path[..<slash]), 0o755)
        try StageError.check(mkdir(path, mode), "making \(path)")
    }

    private func makeMountPoint(_ path: String) throws(StageError) {
        if access(path, F_OK) == 0 { return }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex { try makeDirectory(String(path[..<slash]), 0o755) }
        try writeFile(path, [], mode: 0o644, owner: nil)
    }

    private func writeFile(_ path: String, _ bytes: [UInt8], mode: UInt32, owner: UInt32?) throws(StageError) {
        let file = try StageError.check(
            open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode), "creating \(path)")
        defer { close(file) }
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { write(file, $0.baseAddress?.advanced(by: offset), $0.count - offset) }
            guard count > 0 else { throw StageError("writing \(path)", errno: errno) }
            offset += count
        }
        if let owner { try StageError.check(fchown(file, owner, owner), "giving \(path) away") }
    }

    private static let maskedProcesses = [
        "kcore", "keys", "kmsg", "timer_list", "sched_debug", "latency_stats", "kallsyms", "acpi", "asound", "scsi",
        "sysrq-trigger",
        "kpagecount", "kpageflags", "config.gz", "vmallocinfo", "modules", "iomem", "ioports", "slabinfo", "cmdline", "swaps",
    ]

    /// A view of the container's own processes only, with what concerns the machine covered.
    private func mountProcesses() throws(StageError) {
        let flags = KARS_MOUNT_NO_SETUID | KARS_MOUNT_NO_DEVICES | KARS_MOUNT_NO_EXEC
        try StageError.check(kars_mount("proc", "/new/proc", flags, nil), "mounting /proc")
        for name in ["sys", "irq", "bus", "fs"] where access("/new/proc/\(name)", F_OK) == 0 {
            try StageError.check(kars_bind("/new/proc/\(name)", "/new/proc/\(name)", 1), "binding /proc/\(name)")
            try StageError.check(
                kars_restrict_mount("/new/proc/\(name)", flags | KARS_MOUNT_READ_ONLY, 1), "restricting /proc/\(name)")
        }
        for name in Self.maskedProcesses {
            var status = stat()
            guard lstat("/new/proc/\(name)", &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                try StageError.check(
                    kars_mount("tmpfs", "/new/proc/\(name)", KARS_MOUNT_READ_ONLY, "mode=0000,size=4k"), "hiding /proc/\(name)")
            } else {
                try StageError.check(kars_bind("/new\(RootPlan.place)/none", "/new/proc/\(name)", 0), "hiding /proc/\(name)")
            }
        }
    }

    /// `mounts`: those below /dev.
    private func mountDevices(_ mounts: [ContainerSetup.Mount]) throws(StageError) {
        try StageError.check(
            kars_mount("tmpfs", "/new/dev", KARS_MOUNT_NO_SETUID | KARS_MOUNT_NO_EXEC, "mode=0755,size=64k"), "mounting /dev")
        for name in ["null", "zero", "full", "random", "urandom", "tty"] {
            try writeFile("/new/dev/\(name)", [], mode: 0o666, owner: nil)
            try StageError.check(kars_bind("/old/dev/\(name)", "/new/dev/\(name)", 0), "binding /dev/\(name)")
        }
        try makeDirectory("/new/dev/pts", 0o755)
        try makeDirectory("/new/dev/shm", 0o755)
        try StageError.check(
            kars_mount(
                "devpts", "/new/dev/pts", KARS_MOUNT_NO_SETUID | KARS_MOUNT_NO_EXEC, "newinstance,ptmxmode=0666,mode=0620"),
            "mounting /dev/pts")
        try StageError.check(
            kars_mount("tmpfs", "/new/dev/shm", KARS_MOUNT_NO_SETUID | KARS_MOUNT_NO_DEVICES, "mode=1777,size=256m"),
            "mounting /dev/shm")
        for (name, target) in [
            ("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"),
        ] {
            try StageError.check(symlink(target, "/new/dev/\(name)"), "linking /dev/\(name)")
        }
        for mount in mounts {
            if case .file = mount.kind {
                try makeMountPoint("/new" + mount.path)
            } else {
                try makeDirectory("/new" + mount.path, 0o755)
            }
            try perform(mount)
        }
        try StageError.check(kars_restrict_mount("/new/dev", KARS_MOUNT_READ_ONLY, 0), "making /dev read-only")
    }

    // MARK: The command

    /// Starts the command in a child and gives up every right in this process.
    private func start() throws(StageError) -> pid_t {
        if setup.outsideBase != nil {
            try StageError.check(kars_join(Inherited.userNamespace, KARS_NEWUSER), "joining the user namespace")
        }
        close(Inherited.userNamespace)
        var signals = [SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]
        try StageError.check(kars_block_signals(&signals, signals.count), "blocking signals")
        let child = try StageError.check(kars_fork(), "fork")
        if child == 0 {
            setsid()
            kars_die_with_parent(SIGKILL)
            do {
                try ContainerEntry(setup: setup).execute(setup.command)
            } catch {
                Descriptors.writeAll("\(error)".utf8, to: Inherited.report)
            }
            _exit(126)
        }
        // Process 1 needs no right either: to wait, and to pass signals on to a process of the same user.
        try ContainerEntry(setup: setup).dropPrivileges(keepingCapabilities: false)
        kars_die_with_parent(SIGKILL)
        kars_set_dumpable(0)
        if Self.hasEnded(lifeline: Inherited.lifeline) { exit(137) }
        return child
    }

    private func serveAsFirstProcess(for command: pid_t) -> Never {
        for descriptor in [Int32(0), 1, 2] { close(descriptor) }
        var signals = [SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]
        let source = kars_signal_descriptor(&signals, signals.count)
        while true {
            var status: Int32 = 0
            while true {
                let ended = waitpid(-1, &status, WNOHANG)
                if ended == command { exit(kars_wait_status_exit_code(status)) }
                if ended <= 0 { break }
            }
            var waits = [
                pollfd(fd: source, events: Int16(POLLIN), revents: 0),
                pollfd(fd: Inherited.lifeline, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&waits, 2, -1)
            if waits[1].revents != 0 { exit(137) }
            while case let number = kars_next_signal(source), number != 0 {
                if number != SIGCHLD { kill(command, number) }
            }
        }
    }
}

/// How a process becomes one of a container: what its user may not do is taken away in the order in which the kernel lets it go.
struct ContainerEntry {
    let setup: ContainerSetup

    /// Gives up everything but the container's user and capabilities; for good, as the last step filters system calls.
    func dropPrivileges(keepingCapabilities: Bool = true) throws(StageError) {
        let capabilities = keepingCapabilities ? setup.capabilities : 0
        try StageError.check(kars_limit(KARS_LIMIT_CORE, 0), "setrlimit")
        try StageError.check(kars_limit(KARS_LIMIT_FILES, 65_536), "setrlimit")
        try StageError.check(kars_bound_capabilities(capabilities), "dropping the bounding set")
        try StageError.check(kars_keep_capabilities(1), "prctl")
        let groups = setup.supplementalGroups.map { gid_t($0) }
        try StageError.check(
            kars_set_identity(uid_t(setup.user), gid_t(setup.group), groups, groups.count), "becoming user \(setup.user)")
        try StageError.check(kars_limit(KARS_LIMIT_PROCESSES, UInt64(setup.processLimit)), "setrlimit")
        try StageError.check(kars_set_capabilities(capabilities), "dropping capabilities")
        try StageError.check(kars_keep_capabilities(0), "prctl")
        try StageError.check(kars_no_new_privileges(), "no_new_privs")
        if setup.hasSystemCallFilter {
            let program = SystemCallFilter.compile(for: .current)
            let result = program.withUnsafeBytes { kars_set_system_call_filter($0.baseAddress, program.count) }
            try StageError.check(result, "installing the system call filter")
        }
    }

    /// Returns only by throwing.
    func execute(_ command: [String]) throws(StageError) -> Never {
        guard let name = command.first else { throw StageError("the container has no command", errno: 0) }
        guard chdir(setup.workingDirectory) == 0 else { throw StageError("entering \(setup.workingDirectory)", errno: errno) }
        umask(0o022)
        try dropPrivileges()
        // A change of user clears it.
        kars_die_with_parent(SIGKILL)
        kars_reset_signals()
        kars_close_on_exec_from(3)
        let path = try resolve(name)
        executeProgram(path, command, environment: setup.environment)
        throw StageError("running \(path)", errno: errno)
    }

    /// As a shell looks a program up, by the container's own PATH.
    private func resolve(_ name: String) throws(StageError) -> String {
        if name.contains("/") { return name }
        if name == "kars" { return RootPlan.executable }
        let search = setup.environment.first { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? "/usr/local/bin:/usr/bin:/bin"
        for directory in search.split(separator: ":") where access("\(directory)/\(name)", X_OK) == 0 {
            return "\(directory)/\(name)"
        }
        throw StageError("\(name): no such program in the container", errno: ENOENT)
    }
}

/// The machine's directories as seen below `root`.
struct MachineLister: DirectoryLister {
    let root: String

    func entries(of path: String) -> [(name: String, entry: DirectoryEntry)] {
        guard let directory = opendir(root + path) else { return [] }
        defer { closedir(directory) }
        var found: [(name: String, entry: DirectoryEntry)] = []
        while let next = readdir(directory) {
            let name = withUnsafePointer(to: &next.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != "..", let entry = entry(at: "\(path == "/" ? "" : path)/\(name)") else { continue }
            found.append((name, entry))
        }
        return found.sorted { $0.name < $1.name }
    }

    func entry(at path: String) -> DirectoryEntry? {
        var status = stat()
        guard lstat(root + path, &status) == 0 else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: return .directory
        case S_IFREG: return .file
        case S_IFLNK:
            var target = [CChar](repeating: 0, count: 4_096)
            let count = readlink(root + path, &target, target.count - 1)
            guard count >= 0 else { return .other }
            return .link(String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self))
        default: return .other
        }
    }
}
