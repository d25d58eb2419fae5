import Foundation
import KarsCore
import KarsTesting
import Testing
@testable import Kars
@Suite struct `Replay host` {
    @Test(.enabled(if: ProcessInfo.processInfo.environment["KARS_REPLAY"] != nil)) func host() async throws {
        try await APIServerFixture.run(change: { $0.builtIn = BuiltInKinds.all }) { (api) async throws in
            for ns in ["default", "kube-system"] {
                try await api.call(.post, "/api/v1/namespaces", #"{"metadata":{"name":"\#(ns)"}}"#)
            }
            try "\(api.port)".write(toFile: "/tmp/as/port", atomically: true, encoding: .utf8)
            while !FileManager.default.fileExists(atPath: "/tmp/as/stop") { try await Task.sleep(for: .milliseconds(200)) }
        }
    }
}
