import ArgumentParser
import KarsCore

/// `kars router`: the sidecar. All configuration is in the environment (`RouterConfig`), because a pod spec is where it
/// comes from.
struct RouterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "router",
        abstract: "Run the router of one sandbox: the only way out for its agent.",
        discussion: "Configured by environment variables; SANDBOX_NAME is the one that must be set.",
        subcommands: [ProbeCommand.self])

    func run() async throws {
        SignalWaiter.ignoreBrokenPipes()
        let config: RouterConfig
        do {
            config = try RouterConfig(reading: .ofProcess())
        } catch {
            Log(level: .info).error("router.misconfigured", ["problems": .strings(error.problems)])
            throw ExitStatus.usage.exitCode
        }
        let log = Log(level: config.logLevel).with(["sandbox": .string(config.sandbox)])
        do {
            let signals = try SignalWaiter()
            let router = try Router(config: config, log: log)
            try await router.run { _ = await signals.next() }
        } catch {
            log.error("router.failed", ["error": .error(error)])
            throw ExitStatus.failed.exitCode
        }
    }
}

/// `kars router probe`: asks this pod's own health, for images that have no shell and no curl.
struct ProbeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe", abstract: "Send one request to the router in this pod and print the answer.",
        discussion: "Exits 0 for an answer of 200 to 299, 1 for any other and for none within 3 seconds.")

    @Argument(help: "GET or POST, then a path; /healthz by default.")
    var words: [String] = []

    @Option(help: "Port on 127.0.0.1.")
    var port: UInt16 = 8443

    func validate() throws {
        guard words.count <= 3 else { throw ValidationError("expected [GET|POST] PATH [JSON]") }
    }

    func run() async throws {
        let (method, path, body) = Self.request(words)
        var config = HTTPClientConfig()
        config.timeouts = HTTPClientTimeouts(connect: .seconds(3), firstByte: .seconds(3), idle: .seconds(3))
        let group = try EventLoopGroup()
        let client = HTTPClient(config: config, group: group)
        let url = HTTPURL(scheme: .http, host: "127.0.0.1", port: port, target: path)
        do {
            let response = try await client.send(
                HTTPClientRequest(
                    method: method, url: url, headers: ["content-type": "application/json"],
                    body: body.map { .bytes(Array($0.utf8)) } ?? .none))
            let text = try await response.body(upTo: 1 << 20)
            print(String(decoding: text, as: UTF8.self))
            guard (200..<300).contains(response.status) else { throw ExitStatus.failed.exitCode }
        } catch let error as HTTPClientError {
            print("no answer: \(error)")
            throw ExitStatus.failed.exitCode
        }
    }

    /// `[GET|POST] PATH [JSON]`, the method in any case and the path with or without its slash.
    static func request(_ words: [String]) -> (method: HTTPMethod, path: String, body: String?) {
        var rest = words[...]
        var method = HTTPMethod.get
        if let first = rest.first, ["GET", "POST"].contains(first.uppercased()) {
            method = HTTPMethod(first.uppercased())
            rest = rest.dropFirst()
        }
        let path = rest.popFirst() ?? "/healthz"
        return (method, path.hasPrefix("/") ? path : "/" + path, rest.first)
    }
}
