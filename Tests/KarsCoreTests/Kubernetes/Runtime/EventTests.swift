import KarsCore
import KarsTesting
import Testing

private let object: JSONObject = [
    "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "p", "namespace": "n", "uid": "u"],
]
private let start = Instant(nanoseconds: 1_000_000_000_000)
private func at(_ seconds: Int64) -> Instant { start.advanced(by: .seconds(seconds)) }
private let utc = UTCTime(seconds: 1_767_323_045)

private func note(_ text: String, reason: String = "Failed", about object: JSONObject = object) -> EventNote {
    EventNote(.warning, about: object, reason: reason, action: "Starting", text)
}

@Suite struct `Event aggregator` {
    private func aggregator(_ change: (inout EventAggregator.Config) -> Void = { _ in }) -> EventAggregator {
        var config = EventAggregator.Config()
        change(&config)
        return EventAggregator(controller: "kars.azure.com/test", instance: "i", config: config)
    }

    @Test func `the first note becomes an Event with everything the API demands`() throws {
        var aggregator = aggregator()
        guard case .create(let event) = aggregator.take(note("no disk"), at: start, utc: utc) else {
            Issue.record("expected an Event")
            return
        }
        #expect(event["regarding"]?["uid"] == "u" && event["note"] == "no disk" && event["type"] == "Warning")
        #expect(event["eventTime"] == "2026-01-02T03:04:05.000000Z" && event["reportingController"] == "kars.azure.com/test")
        #expect(event.namespace == "n" && event.name.hasPrefix("p."))
    }

    @Test func `the same note again is counted, told at once and then now and then`() {
        var aggregator = aggregator()
        guard case .create(let event) = aggregator.take(note("x"), at: start, utc: utc) else {
            Issue.record("expected an Event")
            return
        }
        let expect = { (count: Int) in
            EventAggregator.Decision.count(
                namespace: "n", name: event.name,
                patch: ["series": ["count": .int(count), "lastObservedTime": "2026-01-02T03:04:05.000000Z"]])
        }
        #expect(aggregator.take(note("x"), at: at(1), utc: utc) == expect(2))
        for second in 2..<31 { #expect(aggregator.take(note("x"), at: at(Int64(second)), utc: utc) == .nothing) }
        #expect(aggregator.take(note("x"), at: at(31), utc: utc) == expect(32))
    }

    @Test func `the same note about another part of the object is another Event`() {
        var aggregator = aggregator()
        for part in ["spec.containers{a}", "spec.containers{b}"] {
            var note = note("Container started", reason: "Started")
            note.regarding["fieldPath"] = .string(part)
            guard case .create = aggregator.take(note, at: start, utc: utc) else {
                Issue.record("\(part) became no Event")
                continue
            }
        }
    }

    @Test func `after a long silence it is a new Event`() {
        var aggregator = aggregator()
        _ = aggregator.take(note("x"), at: start, utc: utc)
        guard case .create = aggregator.take(note("x"), at: at(400), utc: utc) else { Issue.record("expected an Event"); return }
    }

    @Test func `notes that differ only in their text become one after a few`() {
        var aggregator = aggregator()
        var created: [String] = []
        for index in 0..<40 {
            if case .create(let event) = aggregator.take(note("try \(index)"), at: at(Int64(index)), utc: utc) {
                created.append(event["note"]?.stringValue ?? "")
            }
        }
        #expect(created.count == 11)
        #expect(created.last == "(combined from similar events): try 10")
    }

    @Test func `an object that never stops talking is cut off, others are not`() {
        var aggregator = aggregator { $0.maxAlike = 1000 }
        var created = 0
        for index in 0..<100 {
            if case .create = aggregator.take(note("try \(index)"), at: start, utc: utc) { created += 1 }
        }
        #expect(created == 25 && aggregator.suppressed == 75)
        var other = object
        other.metadata["name"] = "q"
        other.metadata["uid"] = "v"
        guard case .create = aggregator.take(note("x", about: other), at: start, utc: utc) else {
            Issue.record("expected an Event")
            return
        }
        guard case .create = aggregator.take(note("back"), at: at(301), utc: utc) else {
            Issue.record("expected an Event"); return
        }
    }

    @Test func `what is remembered has a bound`() {
        var aggregator = aggregator { $0.maxRemembered = 8 }
        for index in 0..<100 {
            var other = object
            other.metadata["uid"] = .string("u\(index)")
            _ = aggregator.take(note("x", about: other), at: at(Int64(index)), utc: utc)
        }
        // The first was forgotten, so it is new again.
        var first = object
        first.metadata["uid"] = "u0"
        guard case .create = aggregator.take(note("x", about: first), at: at(100), utc: utc) else {
            Issue.record("expected an Event")
            return
        }
    }

    @Test func `long texts are cut between characters`() {
        let long = note(String(repeating: "ä", count: 2000))
        #expect(long.note.utf8.count <= 1024 && long.note.hasSuffix("ä…"))
    }
}

@Suite struct `Event recorder` {
    private func running(_ recorder: EventRecorder, _ body: () async throws -> Void) async throws {
        let task = Task { await recorder.run() }
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        task.cancel()
        await task.value
        try result.get()
    }

    @Test func `notes arrive as Events and their repetitions as a series`() async throws {
        let cluster = FakeCluster()
        let recorder = EventRecorder(
            through: cluster, controller: "kars.azure.com/test", instance: "i", time: ManualClock())
        try await running(recorder) {
            recorder.tell(note("x"))
            recorder.tell(note("x"))
            await cluster.wait { $0.objects(.events).first?["series"]?["count"] == 2 }
            #expect(cluster.objects(.events).count == 1)
        }
    }

    @Test func `the fields of Events are whose the recorder says`() async throws {
        let cluster = FakeCluster()
        let recorder = EventRecorder(
            through: cluster, controller: "kars.azure.com/test", instance: "i", fieldManager: "m", time: ManualClock())
        try await running(recorder) {
            recorder.tell(note("x"))
            recorder.tell(note("x"))
            await cluster.wait { $0.objects(.events).first?["series"]?["count"] == 2 }
        }
        let writes = cluster.requests.filter { $0.verb == .create || $0.verb == .patch(.merge) }
        #expect(writes.count == 2)
        #expect(writes.allSatisfy { request in request.query.contains { $0.name == "fieldManager" && $0.value == "m" } })
    }

    @Test func `a busy server is asked again, and one that refuses costs the Event only`() async throws {
        let calls = Watched(0)
        let cluster = FakeCluster { _ in
            calls.change { $0 += 1 }
            switch calls.value {
            case 1: return .refuse(.internalError("busy"))
            case 3: return .refuse(APIStatus(code: 403, reason: .forbidden, message: "no"))
            default: return nil
            }
        }
        let clock = ManualClock()
        let recorder = EventRecorder(through: cluster, controller: "kars.azure.com/test", instance: "i", time: clock)
        try await running(recorder) {
            recorder.tell(note("a"))
            await clock.advanceToNextCall()
            await cluster.wait { $0.objects(.events).count == 1 }
            recorder.tell(note("b"))
            await calls.wait { $0 == 3 }
            recorder.tell(note("c"))
            await cluster.wait { $0.objects(.events).count == 2 }
            #expect(recorder.dropped == 1)
        }
    }

    @Test func `a series whose Event is gone begins a new one`() async throws {
        let cluster = FakeCluster()
        let recorder = EventRecorder(
            through: cluster, controller: "kars.azure.com/test", instance: "i", time: ManualClock())
        try await running(recorder) {
            recorder.tell(note("x"))
            await cluster.wait { $0.objects(.events).count == 1 }
            let event = cluster.objects(.events)[0]
            _ = try await cluster.send(.delete(.events, namespace: "n", name: event.name))
            recorder.tell(note("x"))
            await cluster.wait { cluster in cluster.requests.contains { $0.verb == .patch(.merge) } }
            // The recorder learns from the answer that there is none; until then notes are counted.
            while cluster.objects(.events).isEmpty {
                recorder.tell(note("x"))
                await Task.yield()
            }
            #expect(cluster.objects(.events).count == 1)
        }
    }
}
