import KarsCore
import KarsTesting
import Testing

@Suite struct `Block list` {
    static let text = """
        # comment
        ! another
        *.Ads.example
        tracker.example.net.
        0.0.0.0 hosts.example # from a hosts file
        127.0.0.1\ttabs.example\r
        ::1 six.example
        dotless
        1.2.3.4
        bad domain.example
        bücher.example
        ads.example

        """

    @Test func `lists are read line by line, and what is no domain is counted`() throws {
        var list = BlockList()
        let parsed = list.add(list: Array(Self.text.utf8))
        #expect(parsed == BlockList.Parsed(added: 4, duplicates: 1, invalid: 5, overLimit: 0))
        #expect(list.count == 4)
        for name in ["ads.example", "x.ads.example", "a.b.ads.example", "tracker.example.net", "hosts.example", "tabs.example"] {
            #expect(list.match(try HostName(name)) != nil, "\(name)")
        }
        for name in ["example", "badads.example", "ads.example.net", "example.net", "dotless", "six.example"] {
            #expect(list.match(try HostName(name)) == nil, "\(name)")
        }
    }

    @Test func `the longest entry is named`() throws {
        var list = BlockList()
        _ = list.add(list: Array("b.example\na.b.example\n".utf8))
        #expect(list.match(try HostName("x.a.b.example")) == .listed("a.b.example"))
        #expect(list.match(try HostName("y.b.example")) == .listed("b.example"))
    }

    @Test func `high-risk top-level domains are blocked whole`() throws {
        let list = BlockList()
        #expect(list.match(try HostName("a.b.TK.")) == .highRiskTLD("tk"))
        #expect(list.match(try HostName("tk.example")) == nil)
        #expect(list.match(try HostName("atk")) == nil)
        #expect(BlockList(highRiskTLDs: []).match(try HostName("a.tk")) == nil)
        #expect(list.count == 0)
    }

    @Test func `limits hold and are reported`() throws {
        var limits = BlockList.Limits()
        limits.maxDomains = 2
        var list = BlockList(limits: limits)
        #expect(
            list.add(list: Array("a.x\nb.x\nc.x\na.x\n".utf8))
                == BlockList.Parsed(added: 2, duplicates: 1, invalid: 0, overLimit: 1))
        #expect(list.match(try HostName("c.x")) == nil)
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `agrees with a set of strings`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        func randomName(_ random: inout SeededRandom) -> String {
            let letters = Array("abc")
            return (0..<Int.random(in: 2...4, using: &random)).map { _ in
                String(
                    (0..<Int.random(in: 1...(Bool.random(using: &random) ? 2 : 11), using: &random)).map { _ in
                        letters.randomElement(using: &random) ?? "a"
                    })
            }.joined(separator: ".")
        }
        let names = Set((0..<2_000).map { _ in randomName(&random) })
        var list = BlockList(highRiskTLDs: [])
        let parsed = list.add(list: Array(names.joined(separator: "\n").utf8))
        #expect(parsed.added == names.count)
        for _ in 0..<2_000 {
            let name = try HostName(randomName(&random))
            let expected = ([name.text[...]] + Array(name.parents)).first { names.contains(String($0)) }
            #expect(list.match(name) == expected.map { .listed(String($0)) })
        }
    }
}

@Suite struct `Blocked buffer` {
    func key(_ host: String, port: UInt16 = 443, source: String = "s") throws -> BlockedBuffer.Key {
        BlockedBuffer.Key(source: source, host: try Host(host), port: port)
    }

    @Test func `repeats are counted and addresses are visible`() throws {
        var buffer = BlockedBuffer()
        buffer.record(try key("Evil.example."), rule: "r", now: UTCTime(seconds: 10))
        buffer.record(try key("evil.example"), rule: "r2", now: UTCTime(seconds: 20))
        buffer.record(try key("169.254.169.254", port: 80), rule: "r", now: UTCTime(seconds: 30))
        let entries = buffer.recent()
        #expect(entries.map(\.key.host.description) == ["169.254.169.254", "evil.example"])
        #expect(entries[1].count == 2)
        #expect(entries[1].firstSeen == UTCTime(seconds: 10))
        #expect(entries[1].lastSeen == UTCTime(seconds: 20))
        #expect(entries[1].rule == "r2")
        #expect(buffer.total == 3)
        #expect(buffer.recent(since: UTCTime(seconds: 25)).count == 1)
        #expect(buffer.recent(limit: 1).count == 1)
    }

    @Test func `the oldest entry leaves first`() throws {
        var config = BlockedBuffer.Config()
        config.capacity = 3
        var buffer = BlockedBuffer(config: config)
        for number in 0..<5 { buffer.record(try key("h\(number).example"), rule: "r", now: UTCTime(seconds: Int64(number))) }
        #expect(buffer.recent().map(\.key.host.description) == ["h4.example", "h3.example", "h2.example"])
        buffer.remove { $0.host.description == "h3.example" }
        buffer.record(try key("h5.example"), rule: "r", now: UTCTime(seconds: 5))
        buffer.record(try key("h6.example"), rule: "r", now: UTCTime(seconds: 6))
        buffer.record(try key("h4.example"), rule: "r", now: UTCTime(seconds: 7))
        #expect(buffer.recent().map(\.key.host.description) == ["h4.example", "h6.example", "h5.example"])
    }

    @Test func `one source cannot flood it, and another is not affected`() throws {
        var buffer = BlockedBuffer()
        for number in 0..<150 { buffer.record(try key("h\(number).example"), rule: "r", now: UTCTime(seconds: 1)) }
        #expect(buffer.count == 100)
        #expect(buffer.dropped == 50)
        buffer.record(try key("other.example", source: "t"), rule: "r", now: UTCTime(seconds: 1))
        buffer.record(try key("later.example"), rule: "r", now: UTCTime(seconds: 61))
        #expect(buffer.count == 102)
    }

    @Test func `the top is by attempts, then by name`() throws {
        var buffer = BlockedBuffer()
        for host in ["b.x", "a.x", "c.x", "c.x"] { buffer.record(try key(host), rule: "r", now: UTCTime(seconds: 5)) }
        buffer.record(try key("c.x", port: 80), rule: "r", now: UTCTime(seconds: 5))
        let top = buffer.top(2, since: UTCTime(seconds: 0))
        #expect(top.map(\.host.description) == ["c.x", "a.x"])
        #expect(top.map(\.count) == [3, 1])
        #expect(buffer.top(2, since: UTCTime(seconds: 6)).isEmpty)
    }
}

@Suite struct `Learned hosts` {
    @Test func `are sorted, counted and bounded`() throws {
        var hosts = LearnedHosts(capacity: 2)
        #expect(hosts.record(try HostName("b.x"), port: 443, now: UTCTime(seconds: 1)))
        #expect(hosts.record(try HostName("a.x"), port: 80, now: UTCTime(seconds: 2)))
        #expect(hosts.record(try HostName("b.x"), port: 443, now: UTCTime(seconds: 3)))
        #expect(!hosts.record(try HostName("c.x"), port: 443, now: UTCTime(seconds: 4)))
        #expect(hosts.sorted.map(\.rule.description) == ["a.x:80", "b.x:443"])
        #expect(hosts.sorted[1].count == 2)
        #expect(hosts.dropped == 1)
    }
}
