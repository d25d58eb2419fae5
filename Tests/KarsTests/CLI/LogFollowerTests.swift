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

@Suite struct `Log follower` {
    func text(_ lines: [[UInt8]]) -> [String] { lines.map { String(decoding: $0, as: UTF8.self) } }

    func append(_ text: String, to path: String) throws {
        let log = try ContainerLog(path: path, limit: .max)
        log.write(text.utf8)
    }

    @Test func `the end comes first, then only what is new`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.log", log = LogFollower(path: path)
            try append("1\n2\n3\n", to: path)
            #expect(text(try log.last(2)) == ["2", "3"])
            #expect(try log.new().isEmpty)
            try append("4\n5\n", to: path)
            #expect(text(try log.new()) == ["4", "5"])
            #expect(try log.new().isEmpty)
        }
    }

    @Test func `an unfinished line waits for its end`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.log", log = LogFollower(path: path)
            try append("", to: path)
            #expect(try log.last(10).isEmpty)
            for part in ["be", "gin", "ning"] {
                try append(part, to: path)
                #expect(try log.new().isEmpty)
            }
            try append("!\nnext", to: path)
            #expect(text(try log.new()) == ["beginning!"])
        }
    }

    @Test(arguments: 1...40)
    func `nothing is lost or told twice over rotations, wherever they fall`(limit: Int) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.log", writer = try ContainerLog(path: path, limit: limit), log = LogFollower(path: path)
            var seen = text(try log.last(10))
            for index in 0..<60 {
                writer.write("line \(index)\n".utf8)
                seen += text(try log.new())
            }
            #expect(seen == (0..<60).map { "line \($0)" })
        }
    }

    @Test func `lines from before the last rotation count among the last`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.log", writer = try ContainerLog(path: path, limit: 8)
            for line in ["1", "2", "3", "4", "5", "6"] { writer.write("\(line)\n".utf8) }
            #expect(text(try LogFollower(path: path).last(4)) == ["3", "4", "5", "6"])
            #expect(text(try LogFollower(path: path).last(1)) == ["6"])
            #expect(try LogFollower(path: path).last(0).isEmpty)
        }
    }

    @Test func `a file that comes later is waited for, and one that is gone for a moment is no end`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.log", log = LogFollower(path: path)
            #expect(try log.last(5).isEmpty)
            #expect(try log.new().isEmpty)
            try append("one\n", to: path)
            #expect(text(try log.new()) == ["one"])
            #expect(rename(path, path + ".1") == 0)
            #expect(try log.new().isEmpty)
            try append("two\n", to: path)
            #expect(text(try log.new()) == ["two"])
        }
    }

    @Test func `the end of a large file is found from its end`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.log"
            let lines = (0..<50_000).map { "line number \($0)" }
            try append(lines.joined(separator: "\n") + "\n", to: path)
            for count in [1, 100, 20_000] { #expect(text(try LogFollower(path: path).last(count)) == Array(lines.suffix(count))) }
        }
    }

    @Test func `a line without end comes in pieces`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.log", log = LogFollower(path: path)
            #expect(try log.last(1).isEmpty)
            let long = String(repeating: "x", count: LogFollower.maxLineBytes + 5)
            try append(long, to: path)
            let first = text(try log.new())
            try append("\n", to: path)
            #expect((first + text(try log.new())).joined() == long)
            #expect(first.allSatisfy { $0.utf8.count <= LogFollower.maxLineBytes * 2 } && !first.isEmpty)
        }
    }
}

@Suite struct `Logs command` {
    @Test(arguments: [
        ("agent", "agent", true), ("agent", "openclaw", true), ("agent", "inference-router", false),
        ("agent", "supervisor", false),
        ("router", "inference-router", true), ("router", "agent", false), ("egress-guard", "egress-guard", true),
        ("network", "network", true), ("supervisor", "supervisor", true), ("all", "anything", true),
    ])
    func `a service is a log by the name that people use`(service: String, log: String, isIncluded: Bool) throws {
        #expect(try #require(LogsCommand.Service(rawValue: service)).includes(log) == isIncluded)
    }

    @Test func `the help names every service`() {
        let help = LogsCommand.helpMessage()
        for service in LogsCommand.Service.allCases { #expect(help.contains(service.rawValue), "\(service)") }
    }
}
