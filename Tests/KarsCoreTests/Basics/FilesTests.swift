import KarsCore
import KarsTesting
import Testing

@Suite struct `Small files` {
    @Test func `what does not exist reads as nothing and lists as empty`() throws {
        try withTemporaryDirectory { directory in
            #expect(try Files.readIfPresent(directory + "/none", upTo: 10) == nil)
            #expect(try Files.entries(of: directory + "/none").isEmpty)
            #expect(throws: FileError.self) { try Files.read(directory + "/none", upTo: 10) }
            try Files.remove(directory + "/none")
        }
    }

    @Test func `directories are made with their parents and removed with their contents`() throws {
        try withTemporaryDirectory { directory in
            try Files.createDirectories(directory + "/a/b/c", mode: 0o700)
            try Files.createDirectories(directory + "/a/b/c", mode: 0o700)
            #expect(try Files.entries(of: directory + "/a/b") == ["c"])
            try Files.remove(directory + "/a")
            #expect(!Files.exists(directory + "/a"))
        }
    }

    @Test func `a file larger than the limit is refused`() throws {
        #expect(throws: FileError.self) { try Files.read("/proc/self/status", upTo: 16) }
    }
}
