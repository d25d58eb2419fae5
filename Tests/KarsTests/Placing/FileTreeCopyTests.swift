import ArgumentParser
import KarsCore
import KarsTesting
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct `File tree copy` {
    private func write(_ path: String, _ text: String, mode: UInt32 = 0o644) throws {
        try AtomicFile.write(Array(text.utf8), to: path, mode: mode)
    }

    private func text(_ path: String) throws -> String { String(decoding: try Files.read(path, upTo: 1 << 20), as: UTF8.self) }

    @Test func `files, directories and links are as they were`() throws {
        try withTemporaryDirectory { directory in
            let source = directory + "/source", target = directory + "/target"
            try Files.createDirectories(source + "/a/b", mode: 0o755)
            try write(source + "/a/b/run", "#!/bin/sh\n", mode: 0o755)
            #expect(symlink("a/b/run", source + "/link") == 0)
            #expect(mkfifo(source + "/pipe", 0o644) == 0)
            var copy = FileTreeCopy()
            try copy.directory(source, to: target)
            #expect(try text(target + "/a/b/run") == "#!/bin/sh\n")
            #expect(access(target + "/a/b/run", X_OK) == 0)
            #expect(try text(target + "/link") == "#!/bin/sh\n")
            #expect(!Files.exists(target + "/pipe"))
            #expect(copy.entries == 2)
        }
    }

    @Test func `what the agent changed stays`() throws {
        try withTemporaryDirectory { directory in
            let source = directory + "/source", target = directory + "/target"
            try Files.createDirectories(source, mode: 0o755)
            try Files.createDirectories(target, mode: 0o755)
            try write(source + "/notes", "from the image")
            try write(target + "/notes", "the agent's")
            var copy = FileTreeCopy()
            try copy.directory(source, to: target)
            #expect(try text(target + "/notes") == "the agent's")
        }
    }

    @Test func `a link is copied and not followed`() throws {
        try withTemporaryDirectory { directory in
            let source = directory + "/source", target = directory + "/target"
            try Files.createDirectories(source, mode: 0o755)
            try Files.createDirectories(directory + "/outside", mode: 0o755)
            try write(directory + "/outside/secret", "x")
            #expect(symlink(directory + "/outside", source + "/way") == 0)
            var copy = FileTreeCopy()
            try copy.directory(source, to: target)
            var facts = stat()
            #expect(lstat(target + "/way", &facts) == 0 && facts.st_mode & S_IFMT == S_IFLNK)
            #expect(copy.entries == 1)
        }
    }

    @Test func `too many files end it`() throws {
        try withTemporaryDirectory { directory in
            let source = directory + "/source", target = directory + "/target"
            try Files.createDirectories(source, mode: 0o755)
            for name in ["a", "b", "c"] { try write("\(source)/\(name)", "") }
            var copy = FileTreeCopy(limits: FileTreeCopy.Limits(entries: 2))
            #expect(throws: FileError.self) { try copy.directory(source, to: target) }
        }
    }

    @Test func `the program is copied whole and can run`() throws {
        try withTemporaryDirectory { directory in
            let target = directory + "/target"
            try Files.createDirectories(target, mode: 0o755)
            try PlaceBinaryCommand.parse([target]).run()
            #expect(Files.size(of: target + "/kars") == Files.size(of: HiddenStage.executable()))
            #expect(access(target + "/kars", X_OK) == 0)
        }
    }
}
