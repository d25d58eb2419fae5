import KarsCore
import KarsTesting
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct `Atomic file` {
    @Test func `the content is replaced whole and nothing is left beside it`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/state.json"
            try AtomicFile.write(Array("old content".utf8), to: path, mode: 0o600)
            try AtomicFile.write(Array("new".utf8), to: path, mode: 0o600)
            #expect(try Files.read(path, upTo: 100) == Array("new".utf8))
            #expect(try Files.entries(of: directory) == ["state.json"])
        }
    }

    @Test(arguments: [0o600, 0o644, 0o666] as [UInt32])
    func `the mode is what was asked, whatever the umask`(mode: UInt32) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/file"
            try AtomicFile.write([1], to: path, mode: mode)
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(UInt32(status.st_mode) & 0o777 == mode)
        }
    }

    @Test func `a link is replaced, not followed`() throws {
        try withTemporaryDirectory { directory in
            try AtomicFile.write([1], to: directory + "/target", mode: 0o600)
            #expect(symlink("target", directory + "/link") == 0)
            try AtomicFile.write([2], to: directory + "/link", mode: 0o600)
            #expect(try Files.read(directory + "/target", upTo: 10) == [1])
            #expect(try Files.read(directory + "/link", upTo: 10) == [2])
        }
    }

    @Test func `a failure leaves the old file and no other`() throws {
        try withTemporaryDirectory { directory in
            try Files.createDirectories(directory + "/taken", mode: 0o700)
            #expect(throws: FileError("rename", directory + "/taken", errno: EISDIR)) {
                try AtomicFile.write([1], to: directory + "/taken", mode: 0o600)
            }
            #expect(try Files.entries(of: directory) == ["taken"])
            #expect(throws: FileError.self) { try AtomicFile.write([1], to: directory + "/none/file", mode: 0o600) }
        }
    }
}
