import KarsCore
import Subprocess

/// Runs credential plugins of a kubeconfig as processes: our environment and theirs, no standard input, and what they say to people goes
/// where our own errors go.
struct CredentialPluginProcess: CredentialPluginRunner {
    /// A plugin may open a browser and wait for a person.
    static let limit = Duration.seconds(300)
    private static let maxOutputBytes = 1 << 20

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    func run(_ plugin: CredentialPlugin) async throws -> [UInt8] {
        var changes: [Environment.Key: String?] = [:]
        for (name, value) in plugin.environment {
            guard let key = Environment.Key(rawValue: name) else { throw Failure(description: "\(name) is no variable's name") }
            changes[key] = value
        }
        changes["KUBERNETES_EXEC_INFO"] = String(decoding: plugin.request.encoded(), as: UTF8.self)
        let environment = Environment.inherit.updating(changes)
        return try await withThrowingTaskGroup(of: [UInt8].self) { group in
            group.addTask {
                // `env` takes names and paths alike, and says on standard error what it does not find.
                let result = try await Subprocess.run(
                    .name("env"), arguments: Arguments([plugin.command] + plugin.arguments), environment: environment,
                    input: .none,
                    output: .bytes(limit: Self.maxOutputBytes), error: .currentStandardError)
                guard result.terminationStatus.isSuccess else {
                    throw Failure(description: "it ended with \(result.terminationStatus)")
                }
                return result.standardOutput
            }
            group.addTask {
                try await Task.sleep(for: Self.limit)
                throw Failure(description: "it did not answer within \(Self.limit)")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? []
        }
    }
}
