import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// A way from a pod to servers on the machine's own loopback is opened by the machine's owner only.
@Suite struct `Ports of the machine's loopback` {
    private func pod(_ annotation: String?) -> JSONObject {
        var pod: JSONObject = ["metadata": ["name": "p"]]
        if let annotation { pod.metadata["annotations"] = [ClusterPlacement.loopbackAnnotation: .string(annotation)] }
        return pod
    }

    @Test func `a pod that asks for what nobody opened gets nothing`() throws {
        try withTemporaryDirectory { directory in
            let ports = LoopbackPorts(ofNode: directory)
            #expect(try ports.granted(to: pod("22,11434")).isEmpty)
            try ports.open(11_434)
            #expect(try ports.granted(to: pod("22,11434")) == [11_434])
            #expect(try ports.granted(to: pod(nil)).isEmpty)
        }
    }

    @Test(arguments: ["", ",", "x", "70000", "-1", "11434-11440", "0x1F"])
    func `what is no port asks for nothing`(annotation: String) throws {
        #expect(LoopbackPorts.asked(by: pod(annotation)).isEmpty)
    }

    @Test func `ports that are opened stay open, and are few`() throws {
        try withTemporaryDirectory { directory in
            let ports = LoopbackPorts(ofNode: directory)
            for port in 1...UInt16(LoopbackPorts.maxPorts) { try ports.open(port) }
            try ports.open(1)
            #expect(try ports.opened().count == LoopbackPorts.maxPorts)
            #expect(throws: ClusterError.self) { try ports.open(100) }
            #expect(
                LoopbackPorts.asked(by: pod((1...100).map(String.init).joined(separator: ","))).count == LoopbackPorts.maxPorts)
        }
    }

    @Test func `a file that is no list of ports opens nothing and says so`() throws {
        try withTemporaryDirectory { directory in
            try AtomicFile.write(Array("{}".utf8), to: directory + "/loopback-ports.json", mode: 0o600)
            #expect(throws: ClusterError.self) { try LoopbackPorts(ofNode: directory).granted(to: pod("1")) }
        }
    }
}
