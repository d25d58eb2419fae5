import KarsCore
import KarsTesting
import Subprocess
import Testing

@testable import Kars

/// Pods of the node in the cluster's network, and stock kubectl on them.
@Suite(.enabled(if: NodeRig.isPossible()), .serialized) struct `Networked pods of the node` {
    private static let shell = `Pods of the node`.shell

    @Test func `pods have addresses and reach each other`() async throws {
        try await NodeRig.run(isNetworked: true) { rig in
            try await rig.create(
                "web",
                #"{"containers":[{"name":"c",\#(Self.shell),"cd /tmp; echo hi > f; exec python3 -m http.server 8080"],"readinessProbe":{"tcpSocket":{"port":8080}}}]}"#
            )
            try await rig.create(
                "peer",
                #"{"containers":[{"name":"c",\#(Self.shell),"exec sleep 1000"],"env":[{"name":"OWN","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}}]}]}"#
            )
            let web = try #require(try await rig.life(of: "web") { $0.isReady }.last)
            let peer = try #require(try await rig.life(of: "peer") { $0.isReady }.last)
            let address = try #require(web.status["podIP"]?.stringValue)
            #expect(address.hasPrefix("10.244.0."))
            #expect(web.status["hostIP"] == "10.244.0.1")
            let fetch = "import urllib.request; print(urllib.request.urlopen('http://\(address):8080/f').read())"
            try await rig.untilExec("peer", ["python3", "-c", fetch], says: "b'hi\\n'\n")
            #expect(
                try await rig.exec("peer", ["sh", "-c", "echo $OWN"]).out == (peer.status["podIP"]?.stringValue ?? "") + "\n")
            #expect(try await rig.exec("peer", ["cat", "/etc/resolv.conf"]).out.contains("search default.svc.cluster.local"))
            #expect(
                try await rig.exec("peer", ["cat", "/etc/hosts"]).out.contains(
                    "\(peer.status["podIP"]?.stringValue ?? "?")\tpeer"))
        }
    }

    @Test(.enabled(if: Kubectl.isInstalled)) func `stock kubectl reads logs, runs commands and forwards ports`() async throws {
        try await NodeRig.run { rig in
            try await rig.create(
                "web",
                #"{"containers":[{"name":"c",\#(Self.shell),"cd /tmp; echo hi > f; echo begun; exec python3 -m http.server 8080"],"readinessProbe":{"tcpSocket":{"port":8080}}}]}"#
            )
            _ = try await rig.life(of: "web") { $0.isReady }
            let kubectl = Kubectl(server: "http://127.0.0.1:\(rig.fixture.port)")
            let logs = try await kubectl.run(["logs", "web"])
            #expect(logs.output.hasPrefix("begun\n"), "\(logs)")
            let exec = try await kubectl.run(["exec", "web", "--", "sh", "-c", "echo out; exit 4"])
            #expect(exec.output == "out\n" && exec.error.contains("exit code 4"), "\(exec)")
            let forwarded = try await kubectl.script(
                """
                "$@" port-forward pod/web :8080 > "$DIR/said" 2>&1 & forward=$!
                while ! grep -q Forwarding "$DIR/said"; do kill -0 $forward || { cat "$DIR/said"; exit 1; }; done
                port=$(sed -n 's/^Forwarding from 127.0.0.1:\\([0-9]*\\) .*/\\1/p' "$DIR/said")
                for i in 1 2 3; do
                  python3 -c "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:$port/f').read())"
                done
                kill $forward
                """)
            #expect(forwarded.output == "b'hi\\n'\nb'hi\\n'\nb'hi\\n'\n", "\(forwarded)")
            let gone = try await kubectl.run(["delete", "pod", "web", "--grace-period=1"])
            #expect(gone.output.contains("deleted"), "\(gone)")
        }
    }
}

/// kubectl as people have it.
struct Kubectl {
    let server: String

    static let isInstalled = Programs.find("kubectl") != nil

    struct Outcome: CustomStringConvertible {
        var output: String
        var error: String

        var description: String { "\(output)\(error)" }
    }

    private var words: [String] { ["kubectl", "--server=\(server)", "--cache-dir=/nonexistent", "--kubeconfig=/dev/null"] }

    func run(_ arguments: [String]) async throws -> Outcome { try await script("\"$@\"", arguments) }

    /// A shell script in which `"$@"` is kubectl and `$DIR` a directory.
    func script(_ text: String, _ arguments: [String] = []) async throws -> Outcome {
        try await withTemporaryDirectory { directory in
            let result = try await Subprocess.run(
                .name("sh"), arguments: Arguments(["-c", "DIR=\(directory)\n\(text)", "sh"] + words + arguments),
                output: .string(limit: 1 << 20), error: .string(limit: 1 << 20))
            return Outcome(output: result.standardOutput, error: result.standardError)
        }
    }
}
