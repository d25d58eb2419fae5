import KarsCore
import KarsTesting
import Testing

@Suite struct `Host names` {
    @Test(arguments: [
        ("Example.COM", "example.com"), ("example.com.", "example.com"), ("a", "a"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("_dmarc.example.com", "_dmarc.example.com"), ("1.2.3.4.example", "1.2.3.4.example"), ("4chan.org", "4chan.org"),
        ("a.0xyz", "a.0xyz"),
    ])
    func `have one form`(text: String, normal: String) throws { #expect(try HostName(text).text == normal) }

    @Test(arguments: [
        ("", HostName.Problem.empty), (".", .empty), ("a..b", .emptyLabel), (".a", .emptyLabel), ("a..", .emptyLabel),
        ("-a.b", .hyphenAtLabelEdge), ("a-.b", .hyphenAtLabelEdge), ("bücher.example", .notASCII),
        ("ex\u{200b}ample.com", .notASCII),
        ("a b", .badCharacter(32)), ("a\0.com", .badCharacter(0)), ("a%2e.com", .badCharacter(37)),
        ("evil.com#.good.com", .badCharacter(35)),
        ("evil.com\\.good.com", .badCharacter(92)), ("user@host", .badCharacter(64)), ("127.1", .looksLikeAddress),
        ("2130706433", .looksLikeAddress), ("0x7f.1", .looksLikeAddress), ("0x7f000001", .looksLikeAddress),
        ("a.0x", .looksLikeAddress),
        ("0177.0.0.01", .looksLikeAddress), ("256.256.256.256", .looksLikeAddress), ("1.2.3.4.5", .looksLikeAddress),
        ("*.example.com", .badCharacter(42)),
    ])
    func `that could mean two things are refused`(text: String, problem: HostName.Problem) {
        #expect(throws: problem) { try HostName(text) }
    }

    @Test func `are bounded as DNS bounds them`() throws {
        let label = String(repeating: "a", count: 63)
        #expect(try HostName(label + "." + label + "." + label + "." + String(repeating: "b", count: 61)).text.utf8.count == 253)
        #expect(throws: HostName.Problem.tooLong(bytes: 64, limit: 63)) { try HostName(label + "a") }
        #expect(throws: HostName.Problem.tooLong(bytes: 254, limit: 253)) {
            try HostName(label + "." + label + "." + label + "." + String(repeating: "b", count: 62))
        }
    }

    @Test func `know their parents`() throws {
        #expect(Array(try HostName("a.b.c").parents) == ["b.c", "c"])
        #expect(Array(try HostName("a").parents) == [])
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `never trap on random bytes and are stable when read again`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let alphabet = Array("abz019.-_xX.A".utf8) + [0, 32, 200]
        let bytes = (0..<Int.random(in: 0...20, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
        guard let name = try? HostName(utf8: bytes[...]) else { return }
        #expect(try HostName(name.text) == name)
        #expect(IPAddress(name.text) == nil)
    }
}

@Suite struct `Hosts` {
    @Test(arguments: [
        ("1.2.3.4", "1.2.3.4"), ("1.2.3.4.", "1.2.3.4"), ("[::1]", "[::1]"), ("::1", "[::1]"), ("A.b", "a.b"),
    ])
    func `are names or addresses`(text: String, description: String) throws { #expect(try Host(text).description == description) }

    @Test(arguments: ["[1.2.3.4]", "[::1", "::1]", "[]", "[fe80::1%1]", "1:2"])
    func `in odd brackets are refused`(text: String) { #expect(throws: HostName.Problem.self) { try Host(text) } }

    @Test func `come with ports in authorities`() throws {
        #expect(try Host.authority("a.b:80") == (try Host("a.b"), 80))
        #expect(try Host.authority("a.b") == (try Host("a.b"), nil))
        #expect(try Host.authority("[::1]:443") == (try Host("::1"), 443))
        #expect(try Host.authority("::1") == (try Host("::1"), nil))
        for bad in ["a.b:", "a.b:0", "a.b:65536", "a.b:+1", "a.b:1:2", ":80", "[::1]:", "a.b:80 "] {
            #expect(throws: HostName.Problem.self, "\(bad)") { try Host.authority(bad) }
        }
    }
}

private func == (a: (host: Host, port: UInt16?), b: (Host, UInt16?)) -> Bool { a.host == b.0 && a.port == b.1 }
