import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Pod identities` {
    static let whole = "         0          0 4294967295\n"

    func withIdentities(_ body: (PodIdentities, (String) throws -> String) throws -> Void) throws {
        try withTemporaryDirectory { directory in
            try body(PodIdentities(registry: directory + "/ids", bases: [65_536, 131_072, 196_608])) { name in
                try Files.createDirectories("\(directory)/\(name)", mode: 0o700)
                return "\(directory)/\(name)"
            }
        }
    }

    @Test func `two sandboxes have no id in common and each keeps its own`() throws {
        try withIdentities { identities, sandbox in
            let one = try sandbox("one"), two = try sandbox("two")
            #expect(try identities.claim(for: one) == 65_536)
            #expect(try identities.claim(for: two) == 131_072)
            #expect(try identities.claim(for: one) == 65_536)
            #expect(try identities.claim(for: two) == 131_072)
        }
    }

    @Test func `ids of a sandbox that is gone are free again`() throws {
        try withIdentities { identities, sandbox in
            let one = try sandbox("one")
            #expect(try identities.claim(for: one) == 65_536)
            try Files.remove(one)
            #expect(try identities.claim(for: sandbox("two")) == 65_536)
            #expect(try identities.claim(for: sandbox("one")) == 131_072)
        }
    }

    @Test func `a lost registry takes nobody's ids away`() throws {
        try withIdentities { identities, sandbox in
            let one = try sandbox("one"), two = try sandbox("two")
            _ = try identities.claim(for: one)
            #expect(try identities.claim(for: two) == 131_072)
            try Files.remove(identities.registry)
            #expect(try identities.claim(for: two) == 131_072)
            #expect(try identities.claim(for: one) == 65_536)
        }
    }

    @Test func `a copied sandbox is refused while the original is there`() throws {
        try withIdentities { identities, sandbox in
            let one = try sandbox("one"), copy = try sandbox("copy")
            _ = try identities.claim(for: one)
            try AtomicFile.write(try Files.read(one + "/user-ids", upTo: 64), to: copy + "/user-ids", mode: 0o600)
            let error = #expect(throws: StageError.self) { try identities.claim(for: copy) }
            #expect(error?.description.contains(one) == true)
            try Files.remove(one)
            #expect(try identities.claim(for: copy) == 65_536)
        }
    }

    @Test func `no range left, and a file that holds none, are said`() throws {
        try withIdentities { identities, sandbox in
            for name in ["a", "b", "c"] { _ = try identities.claim(for: sandbox(name)) }
            #expect(throws: StageError.self) { try identities.claim(for: sandbox("d")) }
            try AtomicFile.write(Array("-5\n".utf8), to: try sandbox("a") + "/user-ids", mode: 0o600)
            #expect(throws: StageError.self) { try identities.claim(for: sandbox("a")) }
        }
    }

    @Test func `root's own ranges come first, whole ones only, then the free zone`() {
        let bases = PodIdentities.bases(
            users: "root:300000:131073\nme:100000:65536\n", groups: "root:300000:200000\n", maps: [Self.whole])
        #expect(bases.prefix(3) == [300_000, 365_536, 0x7000_0000])
        #expect(bases.count == 2 + 4_094)
        #expect(PodIdentities.bases(users: "root:1:65536", groups: "root:2:65536", maps: [Self.whole]).first == 0x7000_0000)
    }

    @Test func `a container that maps few ids has none to give`() {
        #expect(PodIdentities.bases(users: "", groups: "", maps: [Self.whole, "0 1000 65536\n"]) == [])
        #expect(PodIdentities.bases(users: "root:1:65536", groups: "root:1:65536", maps: ["0 0 1\n1 100000 65536\n"]) == [1])
    }
}

@Suite struct `Machine routes` {
    static let header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    static let link = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    static let none6 =
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"

    @Test(arguments: [
        ("", "", false), (header, "", false), (header + link, none6, false),
        (header + "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" + link, "", true),
        // 0.0.0.0/1 is half of the world.
        (header + "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n", "", false),
        ("", none6.replacing("ffffffff", with: "00000400").replacing("      lo", with: "    eth0"), true),
    ])
    func `a default route is one to everywhere by a real interface`(v4: String, v6: String, hasDefault: Bool) {
        #expect(MachineRoutes.hasDefault(v4: v4, v6: v6) == hasDefault)
    }
}
