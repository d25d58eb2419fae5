import KarsCore
import KarsTesting
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite struct `Container log` {
    static func text(_ path: String) throws -> String? {
        try Files.readIfPresent(path, upTo: 1 << 20).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func `a full file is put aside and a new one begins`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.log", log = try ContainerLog(path: path, limit: 10)
            log.write("12345\n".utf8)
            log.write("789\n".utf8)
            #expect(try Self.text(path) == "12345\n789\n")
            #expect(try Self.text(path + ".1") == nil)
            log.write("x\n".utf8)
            #expect(try Self.text(path + ".1") == "12345\n789\n")
            #expect(try Self.text(path) == "x\n")
            #expect(log.lostBytes == 0)
        }
    }

    @Test func `two files exist at most, the newest bytes in them`() throws {
        try withTemporaryDirectory { directory in
            let log = try ContainerLog(path: directory + "/a.log", limit: 10)
            for index in 0..<100 { log.write("line \(index)\n".utf8) }
            #expect(try Files.entries(of: directory).sorted() == ["a.log", "a.log.1"])
            #expect(try Self.text(directory + "/a.log") == "line 99\n")
            #expect(try Self.text(directory + "/a.log.1") == "line 98\n")
        }
    }

    @Test func `what was there before counts, and one piece larger than a file is kept whole`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.log"
            try ContainerLog(path: path, limit: 10).write("12345678".utf8)
            let log = try ContainerLog(path: path, limit: 10)
            log.write(String(repeating: "y", count: 30).utf8)
            #expect(try Self.text(path + ".1") == "12345678")
            #expect(try Self.text(path) == String(repeating: "y", count: 30))
            log.write("z".utf8)
            #expect(try Self.text(path + ".1") == String(repeating: "y", count: 30))
        }
    }

    @Test func `a file that cannot be put aside goes on`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.log"
            // A directory is in the way of the renaming.
            try Files.createDirectories(path + ".1/x", mode: 0o700)
            let log = try ContainerLog(path: path, limit: 4)
            for _ in 0..<3 { log.write("1234".utf8) }
            #expect(try Self.text(path) == "123412341234")
            #expect(log.lostBytes == 0)
        }
    }

    @Test func `what the disk refuses is counted`() throws {
        guard access("/dev/full", W_OK) == 0 else { return print("skipped: there is no /dev/full") }
        let log = try ContainerLog(path: "/dev/full")
        log.write("lost".utf8)
        log.write("more".utf8)
        #expect(log.lostBytes == 8)
    }

    @Test func `the tail is the end, trimmed`() throws {
        try withTemporaryDirectory { directory in
            let log = try ContainerLog(path: directory + "/a.log")
            log.write("first\nlast words\n".utf8)
            #expect(log.tail(bytes: 11) == "last words")
        }
    }
}
