import KarsCore
import KarsTesting
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

private func isRoot() -> Bool {
    if geteuid() != 0 { print("skipped: control groups need root") }
    return geteuid() == 0
}

@Suite(.enabled(if: isRoot())) struct `Control group` {
    @Test func `a v2 hierarchy without the controllers limits nothing and says so`() throws {
        try withTemporaryDirectory { root in
            try AtomicFile.write([], to: root + "/cgroup.controllers", mode: 0o644)
            try AtomicFile.write([], to: root + "/cgroup.subtree_control", mode: 0o644)
            #expect(ControlGroup.create(name: "x", memoryBytes: 1 << 20, processes: 10, root: root) == nil)
            #expect(try Files.entries(of: root + "/kars") == [])
        }
    }

    @Test func `a v2 group has its limits written and goes when it is empty`() throws {
        try withTemporaryDirectory { root in
            // As the kernel lays it out; the group's own files are made before it, because nobody makes them here.
            for file in [
                "cgroup.controllers", "cgroup.subtree_control", "kars/cgroup.subtree_control", "kars/x/memory.max",
                "kars/x/pids.max",
            ] {
                let path = "\(root)/\(file)"
                try Files.createDirectories(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]), mode: 0o755)
                try AtomicFile.write([], to: path, mode: 0o644)
            }
            let group = try #require(ControlGroup.create(name: "x", memoryBytes: 1 << 20, processes: 10, root: root))
            #expect(group == ControlGroup(directories: [root + "/kars/x"], limitsMemory: true))
            let text = { (file: String) in String(decoding: try Files.read("\(root)/kars/\(file)", upTo: 64), as: UTF8.self) }
            #expect(try text("x/memory.max") == "1048576" && text("x/pids.max") == "10")
            // The kernel adds each line to the set; a plain file keeps the last over the first.
            #expect(try text("cgroup.subtree_control") == "+pidsry")
            #expect(!group.remove())
            for file in ["memory.max", "pids.max"] { try Files.remove("\(root)/kars/x/\(file)") }
            #expect(group.remove() && !Files.exists(root + "/kars/x"))
        }
    }

    @Test func `without the memory controller the process limit stands alone`() throws {
        try withTemporaryDirectory { root in
            for file in ["cgroup.controllers", "cgroup.subtree_control", "kars/cgroup.subtree_control", "kars/x/pids.max"] {
                let path = "\(root)/\(file)"
                try Files.createDirectories(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]), mode: 0o755)
                try AtomicFile.write([], to: path, mode: 0o644)
            }
            #expect(ControlGroup.create(name: "x", memoryBytes: 1 << 20, processes: 10, root: root)?.limitsMemory == false)
            #expect(ControlGroup.create(name: "x", memoryBytes: nil, processes: 10, root: root)?.limitsMemory == true)
        }
    }

    @Test func `this machine's own groups hold what was asked for`() throws {
        guard let group = ControlGroup.create(name: "test-\(getpid())", memoryBytes: 64 << 20, processes: 77) else {
            return print("skipped: this machine lets nobody make control groups")
        }
        defer { group.remove() }
        let values = group.directories.flatMap { directory in
            ["memory.max", "memory.limit_in_bytes", "pids.max"].compactMap { file in
                (try? Files.read("\(directory)/\(file)", upTo: 64)).map {
                    String(decoding: $0, as: UTF8.self).trimmingWhitespace()
                }
            }
        }
        #expect(values.contains("77"))
        #expect(values.contains("67108864") == group.limitsMemory)
    }
}
