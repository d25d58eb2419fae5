import KarsCore
import KarsTesting
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite struct `Log lines` {
    static let time = UTCTime(seconds: 1_000_000, nanoseconds: 485_163_446)
    static let stamp = "1970-01-12T13:46:40.485163446Z"

    @Test func `a line is framed with the time at which it began`() {
        var framer = LogLineFramer()
        #expect(framer.push(Array("ab".utf8), at: Self.time).isEmpty)
        let later = Self.time.advanced(by: .seconds(5))
        #expect(
            String(decoding: framer.push(Array("c\n\n".utf8), at: later), as: UTF8.self)
                == "\(Self.stamp) stdout F abc\n\(later.rfc3339Nanoseconds) stdout F \n")
    }

    @Test(arguments: 0...12)
    func `splitting the output anywhere gives the same lines`(cut: Int) {
        let output = Array("one\ntwo\n\nrest".utf8).prefix(12)
        var whole = LogLineFramer(), parts = LogLineFramer()
        let expected = whole.push(output, at: Self.time) + whole.finish(at: Self.time)
        let found =
            parts.push(output.prefix(cut), at: Self.time) + parts.push(output.dropFirst(cut), at: Self.time)
            + parts.finish(at: Self.time)
        #expect(found == expected)
    }

    @Test func `a line that never ends comes in pieces, and is whole again for the reader`() {
        var framer = LogLineFramer()
        let long = [UInt8](repeating: 7, count: LogLineFramer.maxLineBytes * 2 + 3)
        let framed = framer.push(long + [UInt8(ascii: "\n")], at: Self.time)
        let lines = LogText.lines(framed).lines
        #expect(lines.map(\.isWhole) == [false, false, true])
        #expect(lines.flatMap { Array($0.text) } == long)
        #expect(LogText.last(1, of: lines).count == 3)
    }

    @Test func `every prefix of a log gives whole lines only`() {
        let text = Array("\(Self.stamp) stdout F a b\n\(Self.stamp) stderr P c\n\(Self.stamp) stdout F d\n".utf8)
        for end in 0...text.count {
            let (lines, consumed) = LogText.lines(Array(text[..<end]))
            #expect(consumed <= end)
            #expect(lines.count == text[..<end].count { $0 == UInt8(ascii: "\n") })
        }
        #expect(LogText.lines(text).lines.map { String(decoding: $0.text, as: UTF8.self) } == ["a b", "c", "d"])
    }

    @Test func `the last lines are those that end last`() {
        let lines = (1...5).map { LogText.Line(time: "", isWhole: true, text: [UInt8($0)]) }
        #expect(LogText.last(2, of: lines).map(\.text) == [[4], [5]])
        #expect(LogText.last(0, of: lines).isEmpty)
        #expect(LogText.last(9, of: lines).count == 5)
    }

    @Test func `a log that was put aside is read before the present one`() throws {
        try withTemporaryDirectory { directory in
            let path = "\(directory)/c.log"
            func write(_ text: String, to path: String) throws {
                let lines = text.map { "\(Self.stamp) stdout F \($0)\n" }.joined()
                let file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
                defer { close(file) }
                Descriptors.writeAll(lines.utf8, to: file)
            }
            func read(_ file: inout LogFile) throws -> String {
                try file.next().map { String(decoding: $0.text, as: UTF8.self) }.joined()
            }
            try write("ab", to: path)
            var file = LogFile(path: path)
            #expect(try read(&file) == "ab")
            #expect(try read(&file) == "")
            try write("c", to: path)
            rename(path, path + ".1")
            try write("de", to: path)
            #expect(try read(&file) == "c")
            #expect(try read(&file) == "de")
            var anew = LogFile(path: path)
            #expect(try read(&anew) == "abc")
            #expect(try read(&anew) == "de")
        }
    }

    @Test(arguments: ["tailLines=x", "tailLines=-1", "limitBytes=0", "sinceSeconds=0", "sinceTime=yesterday"])
    func `a request that makes no sense is refused`(query: String) {
        #expect(throws: APIStatus.self) { try LogRequest(QueryItems(query), now: Self.time) }
    }

    @Test func `lines before a time are not wanted`() throws {
        let request = try LogRequest(QueryItems("sinceSeconds=10&timestamps=true"), now: Self.time)
        let old = LogText.Line(time: Self.time.advanced(by: .seconds(-11)).rfc3339Nanoseconds, isWhole: true, text: [1])
        let new = LogText.Line(time: Self.stamp, isWhole: true, text: [2])
        #expect(!request.wants(old) && request.wants(new))
        #expect(request.rendered(new) == Array("\(Self.stamp) ".utf8) + [2, UInt8(ascii: "\n")])
    }
}

@Suite struct `Atomic directory` {
    private static func file(_ text: String, _ mode: UInt32 = 0o644) -> AtomicDirectory.File {
        .init(bytes: Array(text.utf8), mode: mode)
    }

    @Test func `all files change at once, and what is gone is gone`() throws {
        try withTemporaryDirectory { (directory: String) throws in
            let path = "\(directory)/v", volume = AtomicDirectory(path: path, owner: nil)
            func content(_ name: String) throws -> String {
                String(decoding: try Files.read("\(path)/\(name)", upTo: 100), as: UTF8.self)
            }
            #expect(try volume.write(["a": Self.file("1"), "d/b": Self.file("2")], at: UTCTime(seconds: 1)))
            #expect(try content("a") == "1")
            #expect(try content("d/b") == "2")
            #expect(try !volume.write(["a": Self.file("1"), "d/b": Self.file("2")], at: UTCTime(seconds: 2)))
            let held = open("\(path)/a", O_RDONLY)
            defer { close(held) }
            #expect(try volume.write(["a": Self.file("3"), "c": Self.file("4")], at: UTCTime(seconds: 2)))
            #expect(try content("a") == "3")
            #expect(!Files.exists("\(path)/d"))
            // Whoever had a file open goes on with the file it opened.
            #expect(Descriptors.readAll(held, upTo: 10) == Array("1".utf8))
            #expect(Set(try Files.entries(of: path).filter { !$0.hasPrefix("..") }) == ["a", "c"])
            #expect(try Files.entries(of: path).count { $0.hasPrefix("..") } == 2)
            #expect(try volume.write([:], at: UTCTime(seconds: 3)))
            #expect(try Files.entries(of: path).allSatisfy { $0.hasPrefix("..") })
        }
    }

    @Test func `a file may become a directory`() throws {
        try withTemporaryDirectory { directory in
            let volume = AtomicDirectory(path: "\(directory)/v", owner: nil)
            try volume.write(["a": Self.file("1")], at: UTCTime(seconds: 1))
            try volume.write(["a/b": Self.file("2")], at: UTCTime(seconds: 2))
            #expect(try Files.read("\(directory)/v/a/b", upTo: 9) == Array("2".utf8))
        }
    }
}

@Suite struct `Volume files` {
    private static func files(_ volume: String, _ objects: FixedObjects, tokens: [String: Secret<[UInt8]>] = [:]) throws
        -> [String: String]?
    {
        let json = try JSON(
            parsing:
                #"{"metadata":{"name":"p","namespace":"ns","uid":"u","labels":{"l":"x"}},"spec":{"containers":[{"name":"c"}]}}"#)
        let pod = NodePod(try #require(json.objectValue))
        let fields = DownwardFields(pod: pod, nodeName: "n", hostAddress: "", podAddress: nil, allocatable: [:])
        let payload = VolumePayload(fields: fields, objects: objects, tokens: tokens)
        return try payload.files(of: try JSON(parsing: volume))?.mapValues {
            "\(String($0.mode, radix: 8)) \(String(decoding: $0.bytes, as: UTF8.self))"
        }
    }

    private static let objects = FixedObjects(
        configMaps: ["m": ["data": ["k": "v", "j": "w"]]], secrets: ["s": ["data": ["t": .string(Base64.encode([65]))]]])

    @Test func `each kind of volume gives its files`() throws {
        #expect(try Self.files(#"{"configMap":{"name":"m"}}"#, Self.objects) == ["k": "644 v", "j": "644 w"])
        #expect(
            try Self.files(
                #"{"configMap":{"name":"m","items":[{"key":"k","path":"a/b","mode":256}],"defaultMode":292}}"#, Self.objects)
                == ["a/b": "400 v"])
        #expect(try Self.files(#"{"secret":{"secretName":"s","defaultMode":256}}"#, Self.objects) == ["t": "400 A"])
        #expect(try Self.files(#"{"secret":{"secretName":"none","optional":true}}"#, Self.objects) == [:])
        #expect(
            try Self.files(#"{"downwardAPI":{"items":[{"path":"l","fieldRef":{"fieldPath":"metadata.labels"}}]}}"#, Self.objects)
                == ["l": "644 l=\"x\""])
        #expect(try Self.files(#"{"emptyDir":{}}"#, Self.objects) == nil)
        let projected = #"""
            {"projected":{"defaultMode":420,"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},
             {"configMap":{"name":"m","items":[{"key":"k","path":"ca.crt"}]}},
             {"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}]}}
            """#
        #expect(
            try Self.files(projected, Self.objects, tokens: ["": Secret(Array("tok".utf8))])
                == ["token": "644 tok", "ca.crt": "644 v", "namespace": "644 ns"])
        #expect(VolumePayload.tokenRequests(of: try JSON(parsing: projected)).map(\.seconds) == [3_607])
    }

    @Test(arguments: [
        (#"{"configMap":{"name":"none"}}"#, "configmap \"none\" not found"),
        (#"{"configMap":{"name":"m","items":[{"key":"x","path":"x"}]}}"#, "references non-existent config key: x"),
        (
            #"{"configMap":{"name":"m","items":[{"key":"k","path":"../x"}]}}"#,
            "path \"../x\": expected a relative path without .."
        ),
        (#"{"secret":{"secretName":"none"}}"#, "secret \"none\" not found"),
    ])
    func `what is missing or leads out of the volume is refused`(volume: String, message: String) {
        #expect(throws: ContainerConfigError(message)) { try Self.files(volume, Self.objects) }
    }

    @Test func `the cluster's own state is mounted nowhere, by whatever way it is named`() throws {
        try withTemporaryDirectory { directory in
            let own = "\(directory)/own"
            try Files.createDirectories("\(own)/pods", mode: 0o700)
            symlink(own, "\(directory)/link")
            for path in [own, "\(own)/pods", directory, "/", "\(directory)/link", "\(directory)/link/pods"] {
                let json = try JSON(
                    parsing:
                        #"{"metadata":{"name":"p","uid":"u"},"spec":{"volumes":[{"name":"v","hostPath":{"path":"\#(path)"}}]}}"#)
                let pod = NodePod(try #require(json.objectValue))
                let volumes = PodVolumes(
                    pod: pod, memory: "\(directory)/m", disk: "\(directory)/d", forbidden: own, outsideBase: nil)
                let fields = DownwardFields(pod: pod, nodeName: "n", hostAddress: "", podAddress: nil, allocatable: [:])
                let payload = VolumePayload(fields: fields, objects: FixedObjects(), tokens: [:])
                #expect(throws: ContainerConfigError.self, "\(path)") {
                    try volumes.place(payload: payload, at: UTCTime(seconds: 1))
                }
            }
        }
    }

    @Test func `a directory in memory that somebody else made is not used`() throws {
        try withTemporaryDirectory { directory in
            let path = try NodeMemory.open(for: directory)
            defer { rmdir(path) }
            #expect(try NodeMemory.open(for: directory) == path)
            chmod(path, 0o755)
            #expect(throws: FileError.self) { try NodeMemory.open(for: directory) }
            rmdir(path)
            symlink(directory, path)
            #expect(throws: FileError.self) { try NodeMemory.open(for: directory) }
            unlink(path)
        }
    }
}
