import KarsCore
import KarsTesting
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct `IP address text` {
    @Test(arguments: [
        ("::", "::"), ("::1", "::1"), ("2001:DB8::0:1", "2001:db8::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:0db8::0001", "2001:db8::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("::ffff:c000:201", "::ffff:192.0.2.1"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("fe80::", "fe80::"), ("0.0.0.0", "0.0.0.0"),
        ("255.255.255.255", "255.255.255.255"),
        ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
    ])
    func `is read and written in its canonical form`(text: String, canonical: String) {
        #expect(IPAddress(text)?.description == canonical)
    }

    @Test(arguments: [
        "", "1", "127.1", "127.0.1", "2130706433", "0x7f.0.0.1", "0x7f000001", "0177.0.0.1", "01.2.3.4", "1.2.3.04", "256.1.1.1",
        "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4\0", "+1.2.3.4", "1.2.3.-4", "１.2.3.4",
        ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1::2::3", "1:", ":1",
        "1:2:3:4:5:6:7:",
        "12345::", "g::", "fe80::1%eth0", "[::1]", "::1.2.3", "::1.2.3.256", "::01.2.3.4", "1.2.3.4::", "1:2:3:4:5:6:7:1.2.3.4",
        "::ffff:0x7f.1", "::1/128",
    ])
    func `of any other form is refused`(text: String) { #expect(IPAddress(text) == nil) }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `agrees with the C library on random addresses`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        // Few distinct bytes, so that runs of zero groups are common.
        let bytes = (0..<16).map { _ in
            [0, 0, 0, 1, UInt8.random(in: 0...255, using: &random)].randomElement(using: &random) ?? 0
        }
        let address = try #require(IPAddress(bytes: bytes))
        var text = [CChar](repeating: 0, count: 64)
        #expect(bytes.withUnsafeBytes { inet_ntop(AF_INET6, $0.baseAddress, &text, 64) } != nil)
        let theirs = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        #expect(IPAddress(theirs) == address)
        #expect(IPAddress(address.description) == address)
        #expect(address.bytes == bytes)
        var back = [UInt8](repeating: 0, count: 16)
        #expect(inet_pton(AF_INET6, address.description, &back) == 1)
        #expect(back == bytes)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `that is damaged is read exactly when the C library reads it`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var text = Array(
            ["1:2:3:4:5:6:7:8", "::1", "fe80::1:0", "::ffff:1.2.3.4", "10.20.30.40"].randomElement(using: &random)!.utf8)
        let alphabet = Array("0123af:.:.g".utf8)
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let position = Int.random(in: 0..<text.count, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: text[position] = alphabet.randomElement(using: &random)!
            case 1: text.insert(alphabet.randomElement(using: &random)!, at: position)
            default: if text.count > 1 { text.remove(at: position) }
            }
        }
        let damaged = String(decoding: text, as: UTF8.self)
        var v4 = [UInt8](repeating: 0, count: 4)
        var v6 = [UInt8](repeating: 0, count: 16)
        let theirs: [UInt8]? = inet_pton(AF_INET, damaged, &v4) == 1 ? v4 : inet_pton(AF_INET6, damaged, &v6) == 1 ? v6 : nil
        #expect(IPAddress(damaged)?.bytes == theirs, "\(damaged)")
    }
}

@Suite struct `IP address kinds` {
    @Test(arguments: [
        ("8.8.8.8", IPAddress.Kind.global), ("1.0.0.0", .global), ("100.63.255.255", .global), ("100.128.0.0", .global),
        ("172.15.255.255", .global), ("172.32.0.0", .global), ("223.255.255.255", .global), ("192.0.1.0", .global),
        ("198.17.255.255", .global), ("198.20.0.0", .global), ("0.0.0.0", .unspecified), ("0.1.2.3", .thisNetwork),
        ("127.0.0.1", .loopback), ("127.255.255.255", .loopback), ("10.0.0.0", .privateUse), ("172.16.0.1", .privateUse),
        ("172.31.255.255", .privateUse), ("192.168.1.1", .privateUse), ("169.254.0.1", .linkLocal),
        ("169.254.169.254", .metadata),
        ("168.63.129.16", .metadata), ("100.100.100.200", .metadata), ("192.0.0.192", .metadata),
        ("100.64.0.0", .sharedAddressSpace),
        ("100.127.255.255", .sharedAddressSpace), ("192.0.0.1", .protocolAssignments), ("192.0.2.9", .documentation),
        ("198.51.100.7", .documentation), ("203.0.113.7", .documentation), ("198.18.0.0", .benchmarking),
        ("198.19.255.255", .benchmarking), ("192.88.99.1", .sixToFour), ("224.0.0.1", .multicast),
        ("239.255.255.255", .multicast),
        ("240.0.0.1", .reserved), ("255.255.255.254", .reserved), ("255.255.255.255", .broadcast),
        ("2606:4700::1111", .global), ("2a00:1450::1", .global), ("3ffe::1", .global), ("::", .unspecified), ("::1", .loopback),
        ("::2", .v4Compatible), ("::127.0.0.1", .v4Compatible), ("::ffff:127.0.0.1", .loopback), ("::ffff:10.0.0.1", .privateUse),
        ("::ffff:100.64.0.1", .sharedAddressSpace), ("::ffff:169.254.169.254", .metadata), ("::ffff:8.8.8.8", .global),
        ("::ffff:0:8.8.8.8", .reserved), ("64:ff9b::8.8.8.8", .nat64), ("64:ff9b::127.0.0.1", .nat64), ("64:ff9b:1::1", .nat64),
        ("64:ff9b:0:1::1", .reserved), ("2001::1", .teredo), ("2001:2::1", .benchmarking), ("2001:10::1", .protocolAssignments),
        ("2001:1ff::1", .protocolAssignments), ("2001:200::1", .global), ("2001:db8::1", .documentation),
        ("3fff:fff::1", .documentation),
        ("3fff:1000::1", .global), ("2002:7f00:1::", .sixToFour), ("fc00::1", .privateUse), ("fdff::1", .privateUse),
        ("fd00:ec2::254", .metadata), ("fd20:ce::254", .metadata), ("fe80::1", .linkLocal), ("febf::1", .linkLocal),
        ("fec0::1", .privateUse), ("ff02::1", .multicast), ("100::1", .reserved), ("4000::1", .reserved), ("fe00::1", .reserved),
    ])
    func `follow the registries`(text: String, kind: IPAddress.Kind) throws {
        let address = try #require(IPAddress(text))
        #expect(address.kind == kind)
        #expect(address.isGloballyRoutable == (kind == .global))
    }

    @Test(arguments: [
        ("64:ff9b::7f00:1", "127.0.0.1"), ("2002:a9fe:a9fe::1", "169.254.169.254"), ("::ffff:10.1.2.3", "10.1.2.3"),
        ("::9.8.7.6", "9.8.7.6"),
    ])
    func `name the IPv4 address inside`(text: String, inside: String) {
        #expect(IPAddress(text)?.embeddedV4?.description == inside)
    }
}

@Suite struct `IP prefixes` {
    @Test(arguments: [
        ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false), ("0.0.0.0/0", "255.1.1.1", true),
        ("0.0.0.0/0", "::1", false), ("1.2.3.4", "1.2.3.4", true), ("1.2.3.4/32", "1.2.3.5", false),
        ("fd00::/8", "fdff::1", true),
        ("fd00::/8", "fe00::", false), ("2001:db8::/65", "2001:db8::7fff:0:0:0", true),
        ("2001:db8::/65", "2001:db8::8000:0:0:0", false),
        ("::1/128", "::1", true), ("::/0", "ffff::", true), ("64:ff9b::/96", "64:ff9b::1.2.3.4", true),
    ])
    func `contain what shares their leading bits`(prefix: String, address: String, inside: Bool) throws {
        #expect(try #require(IPPrefix(prefix)).contains(try #require(IPAddress(address))) == inside)
    }

    @Test(arguments: [
        "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/8/8", "10/8", "::/129", "fd00::1/8",
        "/8", "",
    ])
    func `with host bits, bad lengths or bad addresses are refused`(text: String) { #expect(IPPrefix(text) == nil) }

    @Test func `are written with their length`() { #expect(IPPrefix("10.0.0.0/8")?.description == "10.0.0.0/8") }
}

@Suite struct `Socket addresses` {
    @Test(arguments: ["127.0.0.1:0", "1.2.3.4:65535", "[::1]:8443", "[2001:db8::1]:53"])
    func `survive the round trip through text and sockaddr`(text: String) throws {
        let address = try #require(SocketAddress(text))
        #expect(address.description == text)
        #expect(SocketAddress(address.storage) == address)
        address.withSockaddr { pointer, length in
            #expect(Int32(pointer.pointee.sa_family) == address.family)
            #expect(length == (address.ip.isV6 ? 28 : 16))
        }
    }

    @Test(arguments: [
        "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:+1", "::1:80", "[1.2.3.4]:80", "[::1]", "[::1:80", "a:80", ":80", "",
    ])
    func `of any other form are refused`(text: String) { #expect(SocketAddress(text) == nil) }

    @Test func `of other families are refused`() {
        var storage = sockaddr_storage()
        storage.ss_family = sa_family_t(AF_UNIX)
        #expect(SocketAddress(storage) == nil)
    }
}
