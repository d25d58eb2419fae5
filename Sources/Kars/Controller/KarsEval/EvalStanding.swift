import KarsCore

/// What a KarsEval needs now and how it stands: pure, so that each rule is a row in a test.
struct EvalStanding: Sendable {
    /// What there is besides the KarsEval.
    struct Seen: Sendable {
        /// The cases, or the reason of a condition and why there are none.
        var corpus: Corpus = .missing("CorpusBuiltinMissing", "")
        /// Whether the sandbox is declared.
        var isDeclared = false
        /// The sandbox's; nil: there is none, or it is another's.
        var deployment: JSONObject?
        var jobs: [JSONObject] = []
        /// What finished Jobs said that are not in the history yet, by name; nil: nothing.
        var reports: [String: String?] = [:]
    }

    enum Corpus: Equatable, Sendable {
        case resolved(bytes: [UInt8], label: String)
        case missing(_ reason: String, _ message: String)
    }

    let eval: KarsEval
    let object: JSONObject
    let seen: Seen
    let now: UTCTime

    private var active: Bool { seen.jobs.contains { EvalJob.end(of: $0) == nil } }

    /// What asks for a run by hand: `true` at first, then the name that the request got, until its run has begun.
    enum Request: Equatable, Sendable {
        case new(id: String)
        case noted(id: String)
    }

    var request: Request? {
        switch object.annotations[KarsEval.runNowAnnotation] {
        case "true": .new(id: EvalJob.id(for: object.resourceVersion ?? ""))
        case let id? where id.utf8.count == 10: .noted(id: id)
        default: nil
        }
    }
    private var schedule: Result<CronSchedule, ResourceError>? {
        eval.spec.schedule.map { text in Result { () throws(ResourceError) in try CronSchedule(text) } }
    }

    // MARK: - Runs

    /// The run that is to be begun; one at a time.
    var run: EvalJob.Run? {
        guard !active, seen.deployment != nil, case .resolved(_, let label) = seen.corpus else { return nil }
        if case .noted(let id) = request {
            let run = EvalJob.Run(eval: eval, corpusLabel: label, trigger: .byHand(id: id))
            if !hasBegun(run) { return run }
        }
        guard let due = due, due <= now else { return nil }
        let run = EvalJob.Run(eval: eval, corpusLabel: label, trigger: .schedule(due: due))
        return hasBegun(run) ? nil : run
    }

    private func hasBegun(_ run: EvalJob.Run) -> Bool { seen.jobs.contains { $0.name == EvalJob.name(of: run) } }

    /// Whether the run that was asked for is there.
    var isRequestAnswered: Bool {
        guard case .noted(let id) = request else { return false }
        return hasBegun(EvalJob.Run(eval: eval, corpusLabel: "", trigger: .byHand(id: id)))
    }

    /// When a scheduled run is due: the last time that has passed since the last run, else the next one.
    var due: UTCTime? {
        guard case .success(let schedule) = schedule else { return nil }
        let created = Self.time(object.metadata["creationTimestamp"]?.stringValue) ?? now
        let begun = seen.jobs.compactMap { Self.time($0.annotations[EvalJob.dueAnnotation]) } + seen.jobs.compactMap(EvalJob.end)
        let last = ([created, Self.time(eval.status.lastRunAt)].compactMap { $0 } + begun).max() ?? now
        guard var due = schedule.next(after: last) else { return nil }
        // What was missed while nobody was there is made up for once.
        for _ in 0..<10_000 {
            guard due <= now, let next = schedule.next(after: due), next <= now else { break }
            due = next
        }
        return due
    }

    private static func time(_ text: String?) -> UTCTime? { text.flatMap { UTCTime(rfc3339: $0) } }

    // MARK: - Results

    /// Runs that ended and are not told of yet, the oldest first.
    private var news: [(job: String, at: UTCTime, result: Result<KarsEval.Result, ResourceError>)] {
        let known = Set(eval.status.history.map(\.jobName))
        return seen.jobs.compactMap { job in
            guard let end = EvalJob.end(of: job), !known.contains(job.name), let report = seen.reports[job.name] else {
                return nil
            }
            let digest = corpusDigest ?? ""
            let result = Result { () throws(ResourceError) in
                try EvalJob.result(reading: report ?? "", of: job.name, corpusDigest: digest)
            }
            return (job.name, end, result)
        }.sorted { $0.at < $1.at }
    }

    private var corpusDigest: String? {
        guard case .resolved(let bytes, _) = seen.corpus else { return nil }
        return EvalCorpus.digest(of: bytes)
    }

    private func record(_ status: inout KarsEval.Status) -> ResourceError? {
        var fault: ResourceError?
        for run in news {
            var entry = KarsEval.Run()
            (entry.at, entry.jobName) = (run.at.rfc3339, run.job)
            switch run.result {
            case .success(let result):
                status.lastResult = result
                entry.corpusDigest = result.corpusDigest
                (entry.total, entry.passed, entry.failed, entry.errored) =
                    (result.total, result.passed, result.failed, result.errored)
                fault = nil
            case .failure(let failure):
                // A run that says nothing has shown nothing.
                fault = failure
                entry.corpusDigest = corpusDigest ?? ""
                (entry.total, entry.errored) = (1, 1)
            }
            status.lastRunAt = entry.at
            status.history = Array(([entry] + status.history).prefix(KarsEval.Status.maxHistory))
        }
        return fault
    }

    // MARK: - Status

    func status(failure: APIStatus?) -> KarsEval.Status {
        var status = eval.status
        let generation = object.metadata["generation"]?.intValue
        status.observedGeneration = generation
        let fault = record(&status)
        status.corpusDigest = corpusDigest
        if case .resolved = seen.corpus {
            var reference = ObjectReference()
            reference.name = EvalJob.configMap(of: eval.name)
            status.corpusConfigMapRef = reference
        } else {
            status.corpusConfigMapRef = nil
        }
        func set(_ type: String, _ holds: Bool, _ reason: String, _ message: String = "") {
            status.conditions.set(
                type, holds ? .true : .false, reason, message.cut(toBytes: 2_048), generation: generation, now: now)
        }
        let problem = problem(failure, fault)
        let last = status.history.first
        let isDrift = (last?.failed ?? 0) > 0
        let isRunning = active || run != nil && failure == nil
        if last != nil {
            set(
                "ConformanceDrift", isDrift, isDrift ? "DriftDetected" : (last?.errored ?? 0) > 0 ? "RunReportRead" : "AllPassed",
                isDrift ? "\(last?.failed ?? 0) of \(last?.total ?? 0) cases failed: \(firstFailing(status))" : "")
        }
        let isDegraded = problem != nil || isDrift || (last?.errored ?? 0) > 0
        let (reason, message): (String, String) =
            problem
            ?? (isDrift
                ? ("DriftDetected", firstFailing(status))
                : (last?.errored ?? 0) > 0
                    ? ("RunReportRead", "\(last?.errored ?? 0) cases could not be tried")
                    : last != nil ? ("AllPassed", "") : eval.spec.schedule == nil ? ("CorpusResolved", "") : ("Scheduled", ""))
        set("Ready", last != nil && !isDegraded, reason, message)
        set("Progressing", isRunning, isRunning ? "RunTriggered" : reason)
        set("Degraded", isDegraded, reason, isDegraded ? message : "")
        status.phase = isRunning ? .running : isDegraded ? .degraded : last == nil ? .pending : .ready
        return status
    }

    private func firstFailing(_ status: KarsEval.Status) -> String {
        (status.lastResult?.firstFailingCases ?? []).joined(separator: ", ")
    }

    private func problem(_ failure: APIStatus?, _ fault: ResourceError?) -> (String, String)? {
        if let failure { return ("RunFailed", failure.message) }
        if case .missing(let reason, let message) = seen.corpus { return (reason, message) }
        if case .failure(let fault) = schedule { return ("SpecInvalid", fault.description) }
        if seen.deployment == nil {
            let name = eval.spec.targetSandboxRef.name
            return seen.isDeclared
                ? ("TargetSandboxNotReady", "the sandbox \(name) has nothing yet that could be judged")
                : ("TargetSandboxMissing", "there is no sandbox \(name)")
        }
        if let fault { return ("RunReportParseFailed", fault.description) }
        let last = eval.status.conditions["Degraded"]
        // Said until another run says something else.
        if last?.reason == "RunReportParseFailed", news.isEmpty { return ("RunReportParseFailed", last?.message ?? "") }
        return nil
    }
}
