import KarsCore

/// What the containers of a sandbox's pod wrote, in whole lines, each after its container's name when there are several.
struct ClusterLogs: Sendable {
    let client: KubernetesClient
    let namespace: String
    let pod: String
    let containers: [String]

    /// A longer line comes in pieces.
    static let maxLineBytes = 65_536

    /// - Parameter tail: lines from the end of each log.
    func show(tail: Int, follows: Bool, print: @escaping @Sendable (String) -> Void) async throws {
        guard follows else {
            for container in containers { try await show(container, tail: tail, follows: false, print) }
            return
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for container in containers {
                group.addTask { try await show(container, tail: tail, follows: true, print) }
            }
            try await group.waitForAll()
        }
    }

    private func show(
        _ container: String, tail: Int, follows: Bool, _ print: @Sendable (String) -> Void
    ) async throws {
        let prefix = containers.count > 1 ? container + " | " : ""
        let options = LogOptions(container: container, follows: follows, tailLines: tail)
        let stream: KubernetesByteStream
        do throws(APIStatus) {
            stream = try await client.open(.log(namespace: namespace, pod: pod, options))
        } catch {
            // One that has not started yet has no log; the others do.
            guard error.reason == .badRequest, containers.count > 1 else { throw error }
            return print(prefix + "(\(Terminal.safeLine(error.message)))")
        }
        var lines = LineCutter(maxBytes: Self.maxLineBytes)
        while let bytes = try await stream.next() {
            for line in lines.push(bytes) { print(prefix + Terminal.safe(String(decoding: line, as: UTF8.self))) }
        }
        if let rest = lines.finish() { print(prefix + Terminal.safe(String(decoding: rest, as: UTF8.self))) }
    }
}

/// Cuts bytes into lines, however they come.
struct LineCutter: Equatable {
    let maxBytes: Int
    private var rest: [UInt8] = []

    init(maxBytes: Int) { self.maxBytes = maxBytes }

    /// The lines that are complete now, without their ends; of one that is too long, a piece.
    mutating func push(_ bytes: some Sequence<UInt8>) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                lines.append(rest)
                rest = []
            } else {
                rest.append(byte)
                guard rest.count == maxBytes else { continue }
                lines.append(rest)
                rest = []
            }
        }
        return lines
    }

    /// What was never ended.
    mutating func finish() -> [UInt8]? {
        defer { rest = [] }
        return rest.isEmpty ? nil : rest
    }
}
