/// What a log is asked for (core/v1 `PodLogOptions`).
package struct LogOptions: Sendable, Equatable {
    /// Needed when the pod has several.
    package var container: String?
    package var follows = false
    /// Of the run before the last restart.
    package var previous = false
    package var timestamps = false
    package var tailLines: Int?
    package var sinceSeconds: Int?
    package var limitBytes: Int?

    package init(container: String? = nil, follows: Bool = false, tailLines: Int? = nil) {
        self.container = container
        self.follows = follows
        self.tailLines = tailLines
    }
}

/// Which streams of a process are wanted.
package struct StreamOptions: Sendable, Equatable {
    package var container: String?
    package var stdin: Bool
    package var stdout = true
    /// Never with a terminal, which mixes it with `stdout`.
    package var stderr: Bool
    package var tty: Bool

    package init(container: String? = nil, stdin: Bool = false, tty: Bool = false) {
        self.container = container
        self.stdin = stdin
        self.tty = tty
        stderr = !tty
    }

    fileprivate func write(to request: inout KubernetesRequest) {
        request["container"] = container
        request.set("stdin", stdin)
        request.set("stdout", stdout)
        request.set("stderr", stderr)
        request.set("tty", tty)
    }
}

extension KubernetesRequest {
    /// For `KubernetesClient.open`.
    package static func log(namespace: String, pod: String, _ options: LogOptions = LogOptions()) -> KubernetesRequest {
        var request = KubernetesRequest.get(.pods, namespace: namespace, name: pod, subresource: "log")
        request.accept = "application/json, */*"
        request["container"] = options.container
        request.set("follow", options.follows)
        request.set("previous", options.previous)
        request.set("timestamps", options.timestamps)
        request["tailLines"] = options.tailLines.map(String.init)
        request["sinceSeconds"] = options.sinceSeconds.map(String.init)
        request["limitBytes"] = options.limitBytes.map(String.init)
        // A container may say nothing for days.
        if options.follows { request.longestSilence = .seconds(365 * 86_400) }
        return request
    }

    /// For `KubernetesClient.run`.
    package static func exec(
        namespace: String, pod: String, command: [String], _ options: StreamOptions = StreamOptions()
    ) -> KubernetesRequest {
        var request = connect(namespace: namespace, pod: pod, "exec")
        for word in command { request.add("command", word) }
        options.write(to: &request)
        return request
    }

    /// For `KubernetesClient.run`: the streams of the container's own process.
    package static func attach(namespace: String, pod: String, _ options: StreamOptions = StreamOptions()) -> KubernetesRequest {
        var request = connect(namespace: namespace, pod: pod, "attach")
        options.write(to: &request)
        return request
    }

    /// For `KubernetesClient.forward`.
    package static func portForward(namespace: String, pod: String, port: UInt16) -> KubernetesRequest {
        var request = connect(namespace: namespace, pod: pod, "portforward")
        request["ports"] = String(port)
        return request
    }

    private static func connect(namespace: String, pod: String, _ subresource: String) -> KubernetesRequest {
        KubernetesRequest(.connect, .object(ObjectPath(.pods, namespace: namespace, name: pod, subresource: subresource)))
    }
}
