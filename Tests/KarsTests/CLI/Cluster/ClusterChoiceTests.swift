import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Which cluster a command talks to` {
    private static let everything = ClusterChoice.Surroundings(
        kubeconfig: nil, context: nil, environment: ["KUBECONFIG": "/a:/b", "KARS_KUBE_CONTEXT": "prod"], embedded: "/embedded",
        userFile: "/home/.kube/config")

    private func choice(_ change: (inout ClusterChoice.Surroundings) -> Void) throws -> ClusterChoice {
        var given = Self.everything
        change(&given)
        return try ClusterChoice.decide(given)
    }

    @Test func `a file that is named is the only one, whatever the environment says`() throws {
        let chosen = try choice { $0.kubeconfig = "/mine" }
        #expect(chosen.paths == ["/mine"] && chosen.context == nil)
        let other = try choice {
            $0.kubeconfig = "/mine"
            $0.context = "staging"
        }
        #expect(other.paths == ["/mine"] && other.context == "staging")
    }

    @Test func `a context is looked for in the embedded cluster's file and in those of KUBECONFIG`() throws {
        let chosen = try choice { $0.context = "staging" }
        #expect(chosen.paths == ["/embedded", "/a", "/b"] && chosen.context == "staging")
        let byVariable = try choice { $0.embedded = nil }
        #expect(byVariable.paths == ["/a", "/b"] && byVariable.context == "prod")
    }

    @Test func `without a context KUBECONFIG comes first, then the embedded cluster, then the person's own file`() throws {
        #expect(try choice { $0.environment = ["KUBECONFIG": "/a"] }.paths == ["/a"])
        #expect(try choice { $0.environment = ["KUBECONFIG": ""] }.paths == ["/embedded"])
        #expect(
            try choice {
                $0.environment = [:]
                $0.embedded = nil
            }.paths == ["/home/.kube/config"])
    }

    @Test func `with nothing to go by the command says what to do and sends nothing`() {
        for hasStopped in [false, true] {
            var given = ClusterChoice.Surroundings()
            given.hasStoppedCluster = hasStopped
            #expect { _ = try ClusterChoice.decide(given) } throws: { error in
                let failure = error as? CommandFailure
                return failure?.status == .usage && failure?.advice?.contains("kars local start") == true
            }
        }
        var given = ClusterChoice.Surroundings()
        given.context = "prod"
        #expect { _ = try ClusterChoice.decide(given) } throws: { ($0 as? CommandFailure)?.status == .usage }
    }

    @Test func `a kubeconfig without a current context is never guessed about`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/config"
            let text = """
                apiVersion: v1
                kind: Config
                clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
                contexts: [{name: only, context: {cluster: c, user: ""}}]
                """
            try AtomicFile.write(Array(text.utf8), to: path, mode: 0o600)
            #expect { _ = try ClusterChoice(paths: [path], context: nil, label: "x").clientConfig() } throws: { error in
                let failure = error as? CommandFailure
                return failure?.status == .usage && failure?.message.contains("only") == true
            }
            #expect(try ClusterChoice(paths: [path], context: "only", label: "x").clientConfig().userAgent == "kars-cli")
        }
    }
}

@Suite struct `Failures of a cluster` {
    @Test(arguments: [
        (APIStatus.unreachable("connection refused"), Kars.ExitStatus.failed), (.unauthorized(), .usage),
        (.forbidden(.pods, name: "x", "no role"), .refusedByPolicy), (.notFound(.pods, name: "x"), .notFound),
        (.unknownResource(), .usage), (.badRequest("unknown field"), .usage), (.conflict(.pods, name: "x"), .failed),
        (.internalError("boom"), .failed),
    ])
    func `each has an exit code and says which cluster it was`(status: APIStatus, code: Kars.ExitStatus) {
        let failure = ClusterFixture.connection(FakeCluster()).failure(status, "reading x")
        #expect(failure.status == code)
        #expect(failure.message.contains("the test cluster") && failure.message.contains(status.message))
    }

    @Test func `what a server says cannot drive the terminal`() {
        let failure = ClusterFixture.connection(FakeCluster()).failure(.badRequest("a\u{1b}[31mb\nc"), "reading x")
        #expect(!failure.message.contains("\u{1b}") && !failure.message.contains("\n"))
    }
}
