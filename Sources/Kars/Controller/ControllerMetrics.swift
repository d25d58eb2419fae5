import KarsCore

/// The metrics of the controller by name (spec/controller 1.2), as typed handles.
struct ControllerMetrics: Sendable {
    enum Outcome: String, CaseIterable, Sendable { case success, error }
    enum ErrorClass: String, CaseIterable, Sendable {
        case api = "kube_api"
        case malformed = "serde"
    }

    private let rounds: MetricBy2<Counter, String, Outcome>
    private let durations: MetricBy2<Histogram, String, Outcome>
    private let errors: MetricBy2<Counter, String, ErrorClass>
    private let retries: MetricBy1<Counter, String>

    /// `kinds` are those that are reconciled.
    init(in metrics: Metrics, kinds: [String], configHash: String) {
        let kind = Label<String>("crd_kind", declared: kinds)
        rounds = metrics.counter("kars_controller_reconcile_total", "Rounds by how they ended.", by: kind, Label("outcome"))
        durations = metrics.histogram(
            "kars_controller_reconcile_duration_seconds", "Time of one round.",
            buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30], by: kind, Label("outcome"))
        errors = metrics.counter(
            "kars_controller_reconcile_errors_total", "Rounds that failed, by what with.", by: kind, Label("error_class"))
        retries = metrics.counter("kars_controller_reconcile_retries_total", "Rounds that are tried again.", by: kind)
        let info = metrics.gauge(
            "kars_controller_config_info", "1; the label tells configurations apart.", constants: [("config_hash", configHash)])
        info.set(1)
    }

    /// For `ReconcileLoop.Config.onRound`.
    func observer(of kind: String) -> @Sendable (Duration, APIStatus?) -> Void {
        { duration, failure in
            let outcome = failure == nil ? Outcome.success : .error
            rounds[kind, outcome].increment()
            durations[kind, outcome].observe(duration)
            guard let failure else { return }
            retries[kind].increment()
            // Somebody else was faster; the next round sees what they did.
            if failure.reason != .conflict { errors[kind, failure.reason == .malformedAnswer ? .malformed : .api].increment() }
        }
    }
}

/// Metrics and health for kubelet and Prometheus: no credential needed, nothing secret told.
struct ControllerPlane: HTTPHandler {
    let metrics: Metrics
    /// A standby is ready too: whoever waits for the Deployment waits for it as well.
    let isReady: @Sendable () -> Bool

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse) async throws {
        switch (request.head.method, request.head.path) {
        case (.get, "/metrics"): try await answer(response, 200, Metrics.contentType, metrics.text())
        case (.get, "/healthz"): try await answer(response, 200, "text/plain", Array("ok".utf8))
        case (.get, "/readyz"):
            let ready = isReady()
            try await answer(response, ready ? 200 : 503, "text/plain", Array((ready ? "ok" : "not synced").utf8))
        case (_, "/metrics"), (_, "/healthz"), (_, "/readyz"):
            try await answer(response, 405, "text/plain", Array("use GET".utf8))
        default: try await answer(response, 404, "text/plain", Array("this listener offers /metrics, /healthz and /readyz".utf8))
        }
    }

    private func answer(_ response: HTTPServerResponse, _ status: Int, _ type: String, _ body: [UInt8]) async throws {
        try await response.send(HTTPResponseHead(status: status, headers: ["content-type": type]), body: body)
    }
}
