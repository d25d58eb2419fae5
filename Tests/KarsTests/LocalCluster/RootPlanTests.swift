import KarsCore
import Testing

@testable import Kars

/// A machine's directories as a table.
private struct TableLister: DirectoryLister {
    var table: [String: DirectoryEntry]

    func entries(of path: String) -> [(name: String, entry: DirectoryEntry)] {
        let prefix = path == "/" ? "/" : path + "/"
        return table.compactMap { key, entry in
            guard key.hasPrefix(prefix), key.count > prefix.count, !key.dropFirst(prefix.count).contains("/") else { return nil }
            return (String(key.dropFirst(prefix.count)), entry)
        }.sorted { $0.name < $1.name }
    }

    func entry(at path: String) -> DirectoryEntry? { table[path] }
}

@Suite struct `Root plan` {
    private static let machine = TableLister(table: [
        "/usr": .directory, "/bin": .link("usr/bin"), "/etc": .directory, "/etc/shadow": .file, "/etc/ssl": .directory,
        "/etc/ssl/private": .directory, "/etc/passwd": .file, "/etc/os-release": .link("../usr/lib/os-release"),
        "/etc/hosts": .file, "/home": .directory, "/home/me": .directory, "/root": .directory, "/var": .directory,
        "/work": .directory,
        "/opt": .directory, "/opt/kars": .directory, "/opt/kars/home": .directory, "/data": .directory, "/vmlinuz": .file,
        "/usr/share": .directory,
    ])

    static func setup(_ mounts: [ContainerSetup.Mount] = [], root: String? = nil) -> ContainerSetup {
        var setup = ContainerSetup(
            name: "agent", hostname: "dev", rootDirectory: root, executable: "/usr/local/bin/kars",
            resolvers: "nameserver 1.1.1.1\n",
            command: ["id"], workingDirectory: "/", user: 1_000, group: 1_000)
        setup.mounts = mounts
        setup.hidden = ["/opt/kars/home", "/home/me/.kars"]
        return setup
    }

    private static func steps(_ mounts: [ContainerSetup.Mount] = []) -> [RootStep] {
        RootPlan(setup: setup(mounts), lister: machine).steps()
    }

    @Test func `only the system's own directories come from the machine`() {
        let sources = Self.steps().compactMap { step -> String? in
            if case .bind(let source, _) = step { source } else { nil }
        }
        #expect(sources.sorted() == ["/etc", "/opt", "/usr", "/usr/local/bin/kars"])
    }

    @Test func `a mount below a system directory leaves its original where the directory leads`() throws {
        let steps = Self.steps([.init(path: "/opt/tools", kind: .memory(bytes: 1_024, owner: 1_000))])
        #expect(steps.contains(.bind(source: "/opt", to: "/.kars/root/opt")))
        #expect(!steps.contains(.link("/.kars/root/opt", to: "/opt")))
        #expect(steps.contains(.link("/.kars/root/usr", to: "/usr")))
    }

    @Test func `homes, data and sockets are empty directories`() {
        let steps = Self.steps()
        for path in ["/home", "/root", "/run", "/srv", "/mnt", "/var/lib", "/var/log"] {
            #expect(steps.contains { if case .directory(path, _) = $0 { true } else { false } }, "\(path)")
        }
        #expect(!steps.contains { if case .directory("/work", _) = $0 { true } else { false } })
    }

    @Test func `secrets of the machine are neither linked nor readable by their other path`() {
        let steps = Self.steps()
        #expect(!steps.contains { if case .link("/etc/shadow", _) = $0 { true } else { false } })
        #expect(steps.contains(.hideFile("/.kars/root/etc/shadow")))
        #expect(steps.contains(.hideDirectory("/.kars/root/etc/ssl/private")))
        #expect(steps.contains(.hideDirectory("/opt/kars/home")))
    }

    @Test func `links keep their targets and files of one's own replace the machine's`() {
        let steps = Self.steps()
        #expect(steps.contains(.link("/bin", to: "usr/bin")))
        #expect(steps.contains(.link("/etc/os-release", to: "../usr/lib/os-release")))
        #expect(!steps.contains { if case .link("/etc/passwd", _) = $0 { true } else { false } })
        #expect(steps.contains(.file("/etc/resolv.conf", Array("nameserver 1.1.1.1\n".utf8), mode: 0o644)))
    }

    @Test func `a mount point that the machine lacks is made`() {
        let mount = ContainerSetup.Mount(path: "/etc/kars/secrets", kind: .files([:], mode: 0o400, owner: 1_001))
        let deep = ContainerSetup.Mount(path: "/usr/share/new", kind: .memory(bytes: 1, owner: 0))
        let steps = Self.steps([mount, deep])
        #expect(steps.contains(.directory("/etc/kars/secrets", mode: 0o755)))
        // /usr and /usr/share are opened up, so that there is a place for it.
        #expect(steps.contains(.directory("/usr/share", mode: 0o755)))
        #expect(steps.contains(.bind(source: "/usr", to: "/.kars/root/usr")))
        #expect(steps.suffix(1) == [.mount(deep)])
    }

    @Test func `a mount point comes after everything it could be covered by`() throws {
        let mount = ContainerSetup.Mount(path: "/sandbox", kind: .bind(source: "/x", readOnly: false, owner: nil))
        let steps = Self.steps([mount])
        let place = try #require(steps.firstIndex(of: .mount(mount)))
        #expect(steps[place...].allSatisfy { if case .mount = $0 { true } else { false } })
    }

    @Test func `an unpacked root is taken whole, but for what the runner makes`() {
        let lister = TableLister(table: [
            "/image": .directory, "/image/app": .directory, "/image/etc": .directory, "/image/etc/passwd": .file,
            "/image/proc": .directory, "/image/var": .directory,
        ])
        let steps = RootPlan(setup: Self.setup(root: "/image"), lister: lister).steps()
        #expect(steps.contains(.bind(source: "/image/app", to: "/app")))
        #expect(steps.contains(.link("/etc/passwd", to: "/.kars/root/etc/passwd")))
        #expect(!steps.contains(.bind(source: "/image/proc", to: "/proc")))
        #expect(!steps.contains { if case .bind("/usr", _) = $0 { true } else { false } })
    }

    @Test(
        arguments: [
            // The machine's /var is not there: run is a link of the plan's own.
            (nil, "/var/run/secrets/token", "/run/secrets/token"), (nil, "/bin/tool", "/usr/bin/tool"),
            (nil, "/etc/hosts", "/etc/hosts"), (nil, "/etc/os-release", "/usr/lib/os-release"), (nil, "/work/x", "/work/x"),
            ("/image", "/var/run/x", "/run/x"), ("/image", "/out/x", "/old/etc/x"), ("/image", "/up/x", "/etc/x"),
            ("/image", "/circle/x", "/circle/x"), ("/image", "/etc/resolv.conf", "/etc/resolv.conf"),
            ("/image", "/shared/x", "/dev/shm/x"), ("/bare", "/var/run/x", "/run/x"),
        ] as [(String?, String, String)])
    func `a mount goes where links inside the root lead`(root: String?, path: String, place: String) {
        var table = Self.machine.table
        for (path, target) in [
            ("/image/var/run", "/run"), ("/image/out", "/old/etc"), ("/image/up", "../../../etc"), ("/image/circle", "circle"),
            ("/image/etc/resolv.conf", "/elsewhere"), ("/image/shared", "/dev/shm"),
        ] {
            table[path] = .link(target)
        }
        table["/image/var"] = .directory
        table["/etc/hosts"] = .link("/elsewhere")
        let mount = ContainerSetup.Mount(path: path, kind: .bind(source: "/v", readOnly: true, owner: nil))
        let plan = RootPlan(setup: Self.setup([mount], root: root), lister: TableLister(table: table))
        #expect(plan.setup.mounts.map(\.path) == [place])
    }
}
