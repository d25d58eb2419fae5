import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Pod address book` {
    private func withBook(_ body: (String, [IPv4Address]) throws -> Void) throws {
        let addresses = try ClusterAddresses(pods: "10.244.0.0/29")
        try withTemporaryDirectory { (directory: String) throws in try body("\(directory)/book", Array(addresses.podAddresses)) }
    }

    @Test func `an address is kept, and given out again as late as possible`() throws {
        try withBook { path, available in
            #expect(available.map(\.description) == ["10.244.0.2", "10.244.0.3", "10.244.0.4", "10.244.0.5", "10.244.0.6"])
            var book = try PodAddressBook(path: path, available: available)
            #expect(try book.allot(to: "a") == available[0])
            #expect(try book.allot(to: "a") == available[0])
            try book.release("a")
            for index in 1...4 { #expect(try book.allot(to: "\(index)") == available[index]) }
            #expect(try book.allot(to: "b") == available[0])
            #expect(throws: PodAddressBook.Problem.full(5)) { try book.allot(to: "c") }
            try book.release("3")
            #expect(try book.allot(to: "c") == available[3])
        }
    }

    @Test func `it outlives the process, and knows what is no address of this network`() throws {
        try withBook { path, available in
            var book = try PodAddressBook(path: path, available: available)
            _ = try book.allot(to: "a")
            _ = try book.allot(to: "b")
            try book.release("a")
            var again = try PodAddressBook(path: path, available: available)
            #expect(again.addresses == ["b": available[1]])
            #expect(try again.allot(to: "c") == available[2])
            let others = try ClusterAddresses(pods: "10.8.0.0/29").podAddresses
            #expect(try PodAddressBook(path: path, available: others).addresses == [:])
        }
    }

    @Test(arguments: ["", "x", "{}", #"{"addresses": {"a": 1}}"#, #"{"addresses": {"a": "::1"}}"#])
    func `a damaged file is an error, not an empty book`(text: String) throws {
        try withBook { path, available in
            try AtomicFile.write(Array(text.utf8), to: path, mode: 0o600)
            #expect(throws: PodAddressBook.Problem.unreadable(path)) { try PodAddressBook(path: path, available: available) }
        }
    }

    @Test func `networks that cannot be the cluster's are refused`() {
        for pods in ["10.244.0.0", "10.244.0.1/24", "10.244.0.0/30", "10.0.0.0/7", "fd00::/64", "x"] {
            #expect(throws: ClusterAddresses.Problem.self, "\(pods)") { try ClusterAddresses(pods: pods) }
        }
        #expect(throws: ClusterAddresses.Problem.overlap("10.96.1.0/24", "10.96.0.0/16")) {
            try ClusterAddresses(pods: "10.96.1.0/24")
        }
    }
}

@Suite struct `Netlink request` {
    @Test func `has the bytes that the kernel documents`() throws {
        let host = try #require(IPPrefix("10.244.0.5/32"))
        // rtmsg: family, lengths, service, table main, set statically, scope link, unicast, flags; destination, link, source.
        #expect(
            NetlinkRequest.route(to: host, over: 7, as: IPv4Address(10, 244, 0, 1)).body == [
                2, 32, 0, 0, 254, 4, 253, 1, 0, 0, 0, 0, 8, 0, 1, 0, 10, 244, 0, 5, 8, 0, 4, 0, 7, 0, 0, 0, 8, 0, 7, 0, 10, 244,
                0, 1,
            ])
        let up = NetlinkRequest.up(3).encoded(sequence: 9)
        // nlmsghdr: length, RTM_NEWLINK, NLM_F_REQUEST and NLM_F_ACK, sequence, port; ifinfomsg with IFF_UP.
        #expect(
            up == [
                32, 0, 0, 0, 16, 0, 5, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,
            ])
    }

    @Test func `an answer is one to the request, or none`() {
        func answer(_ error: Int32, sequence: UInt32, type: UInt16 = 2) -> [UInt8] {
            func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
            return bytes(UInt32(36)) + bytes(type) + bytes(UInt16(0)) + bytes(sequence) + bytes(UInt32(0)) + bytes(error)
                + [UInt8](repeating: 0, count: 16)
        }
        #expect(NetlinkRequest.outcome(of: answer(0, sequence: 4), sequence: 4) == 0)
        #expect(NetlinkRequest.outcome(of: answer(-17, sequence: 4), sequence: 4) == 17)
        #expect(NetlinkRequest.outcome(of: answer(0, sequence: 3), sequence: 4) == nil)
        #expect(NetlinkRequest.outcome(of: answer(0, sequence: 4, type: 16), sequence: 4) == nil)
        for count in 0..<20 {
            #expect(NetlinkRequest.outcome(of: Array(answer(0, sequence: 4).prefix(count)), sequence: 4) == nil)
        }
    }
}
