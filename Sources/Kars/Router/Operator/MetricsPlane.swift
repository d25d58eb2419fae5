import KarsCore

/// Metrics and health for kubelet and Prometheus: no credential needed, nothing secret told.
struct MetricsPlane: HTTPHandler {
    let metrics: Metrics
    let health: Health
    let traces: TraceIDs
    /// Brings gauges up to date that are read rather than counted.
    let refresh: @Sendable () -> Void

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse) async throws {
        let reply = Reply(response: response, trace: traces.accepting(request.head.headers[TraceID.header]))
        do throws(Refusal) {
            try request.require(.get)
            switch request.head.path {
            case "/metrics":
                refresh()
                await reply.send(status: 200, headers: reply.headers(contentType: Metrics.contentType), body: metrics.text())
            case "/healthz": await reply.send(text: "ok")
            case "/readyz": await reply.send(readiness: health.readiness)
            default: throw .noSuchRoute("this listener offers /metrics, /healthz and /readyz")
            }
        } catch {
            await reply.send(error)
        }
    }
}
