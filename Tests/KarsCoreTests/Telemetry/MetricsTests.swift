import KarsCore
import Testing

@Suite struct `Metrics registry` {
    enum Outcome: String, CaseIterable { case ok, error }

    func text(_ metrics: Metrics) -> String { String(decoding: metrics.text(), as: UTF8.self) }

    @Test func `the text is what Prometheus reads`() {
        let metrics = Metrics()
        let requests = metrics.counter(
            "requests_total", "Requests\nwith \\ in it.", by: Label<String>("model", declared: ["gpt\"4"]),
            Label<Outcome>("status"),
            constants: [("sandbox", "demo")])
        let rules = metrics.gauge("rules", "Rules.")
        let latency = metrics.histogram("latency_seconds", "Latency.", buckets: [0.1, 1])
        metrics.gauge("load", "Load.") { .infinity }
        requests["gpt\"4", .ok].increment(by: 2)
        requests["unheard of", .error].increment()
        rules.set(7)
        rules.add(0.5)
        latency.observe(.milliseconds(100))
        latency.observe(0.5)
        latency.observe(3)
        #expect(
            text(metrics) == #"""
                # HELP requests_total Requests\nwith \\ in it.
                # TYPE requests_total counter
                requests_total{sandbox="demo",model="other",status="ok"} 0
                requests_total{sandbox="demo",model="other",status="error"} 1
                requests_total{sandbox="demo",model="gpt\"4",status="ok"} 2
                requests_total{sandbox="demo",model="gpt\"4",status="error"} 0
                # HELP rules Rules.
                # TYPE rules gauge
                rules 7.5
                # HELP latency_seconds Latency.
                # TYPE latency_seconds histogram
                latency_seconds_bucket{le="0.1"} 1
                latency_seconds_bucket{le="1"} 2
                latency_seconds_bucket{le="+Inf"} 3
                latency_seconds_sum 3.6
                latency_seconds_count 3
                # HELP load Load.
                # TYPE load gauge
                load +Inf

                """#)
    }

    @Test func `what a client sends adds no series`() {
        let metrics = Metrics()
        let counter = metrics.counter("calls_total", "Calls.", by: Label<String>("model", declared: ["a"]))
        let before = text(metrics).split(separator: "\n").count
        for index in 0..<1000 { counter["model-\(index)"].increment() }
        #expect(text(metrics).split(separator: "\n").count == before)
        #expect(counter["other"].current == 1000)
    }

    @Test func `no count is lost between threads`() async {
        let metrics = Metrics()
        let counter = metrics.counter("calls_total", "Calls.", by: Label<Outcome>("status"))
        let gauge = metrics.gauge("level", "Level.")
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        counter[.ok].increment()
                        gauge.add(1)
                    }
                }
            }
        }
        #expect(counter[.ok].current == 8000)
        #expect(gauge.current == 8000)
    }

    @Test func `the router's catalogue has no name twice and only its own sandbox`() {
        let metrics = Metrics()
        let router = RouterMetrics(in: metrics, sandbox: "dev-agent", models: ["gpt-4.1"])
        router.inferenceRequests["gpt-4.1", .ok].increment()
        router.egressDecisions[.connect, .deny, .notInAllowlist].increment()
        router.budgetTokens[.daily, .limit].set(1000)
        let lines = text(metrics).split(separator: "\n")
        #expect(lines.contains(#"kars_inference_requests_total{sandbox="dev-agent",model="gpt-4.1",status="ok"} 1"#))
        #expect(lines.contains(#"kars_egress_decisions_total{edge="connect",decision="deny",reason="not_in_allowlist"} 1"#))
        #expect(lines.contains(#"kars_budget_tokens{window="daily",kind="limit"} 1000"#))
        let types = lines.filter { $0.hasPrefix("# TYPE") }
        #expect(Set(types).count == types.count)
    }
}
