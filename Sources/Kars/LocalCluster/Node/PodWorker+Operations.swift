import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What takes time: each operation runs beside the mailbox, and reports back through it.
extension PodWorker {
    private static let maxLastWordsBytes = 4_096
    private static let probeHookSeconds = 3_600
    /// Between tries to end a supervisor.
    private static let endRetry = Duration.seconds(1)
    /// Volumes are brought up to date at least so often.
    private static let volumeInterval = Duration.seconds(60)

    func perform(_ operation: Operation) async {
        switch operation {
        case .action(.prepare): await prepare()
        case .action(.start(let name, _)): await start(name)
        case .action(.stop(let name, let grace)): await stop(name, grace: grace)
        case .action(.endPlace): await endPlace()
        case .action(.tell(let event)): tell(event)
        case .action(.remove), .action(.forget): break
        case .observe: await observe()
        case .postStart(let container, let id): await postStart(container, id)
        case .probe(let container, let probe, let kind, let id): await check(container, probe, kind, id)
        case .refreshVolumes: await refreshVolumes()
        case .keepVolumes(let number): await keepVolumes(place: number)
        case .killAll(let delay):
            guard (try? await context.time.sleep(for: delay)) != nil else { return }
            await endSupervisor()
        }
    }

    // MARK: - Place

    private func prepare() async {
        let preparation = PodPreparation(pod: machine.pod, context: context, tokens: tokens)
        do throws(PodPlaceError) {
            let place = try await preparation.make()
            post(.prepared(place))
        } catch {
            post(.prepareFailed(reason: error.reason, message: error.description))
        }
    }

    /// Follows the supervisor until it goes away.
    private func observe() async {
        do {
            let observation = try await context.link(uid).observe()
            var read: Set<String> = []
            while let report = try await observation.next() {
                var words: [String: String] = [:]
                for run in report.containers where run.state == .exited && read.insert(run.id).inserted {
                    words[run.id] = await lastWords(of: run)
                }
                post(.report(report, lastWords: words))
            }
            await observation.close()
        } catch {
            if error is CancellationError { return }
            context.log.debug("pod.observe.ended", ["pod": .string(uid), "reason": .error(error)])
        }
        if !Task.isCancelled { post(.placeLost) }
    }

    private func endPlace() async {
        await endSupervisor()
        await context.network?.detach(podUID: uid)
        post(.placeEnded)
    }

    /// Everything of the pod ends by force.
    private func endSupervisor() async {
        while !Task.isCancelled {
            do { return try await context.link(uid).end() } catch {
                if Task.isCancelled { return }
                context.log.warn("pod.end.failed", ["pod": .string(uid), "reason": .error(error)])
                // Cancelled: the loop ends.
                try? await context.time.sleep(for: Self.endRetry)
            }
        }
    }

    // MARK: - Volumes

    private func refreshVolumes() async {
        guard let place else { return }
        let preparation = PodPreparation(pod: machine.pod, context: context, tokens: tokens)
        do {
            let volumes = try await preparation.volumes(place)
            took(volumes)
        } catch {
            // What is there stays; a later change, or the next round, brings it up to date.
            tell(PodEvent(.warning, "FailedMount", "\(error)"))
        }
    }

    /// Tokens grow old, and annotations change, without any object of ours changing.
    private func keepVolumes(place number: Int) async {
        let hasFiles = (machine.pod.spec["volumes"]?.arrayValue ?? []).contains { $0["emptyDir"] == nil && $0["hostPath"] == nil }
        guard hasFiles else { return }
        while !Task.isCancelled {
            var due = context.time.now().advanced(by: Self.volumeInterval)
            if let next = await tokens.nextRefresh { due = min(due, next) }
            guard (try? await context.time.sleep(until: due)) != nil, machine.stage == .up, placeNumber == number else { return }
            await refreshVolumes()
        }
    }

    // MARK: - Containers

    private func start(_ name: String) async {
        guard let container = machine.pod.container(name), let place else {
            return post(.startRefused(name, .failed("the pod has no place")))
        }
        guard let image = context.images.image(container.image) else {
            return post(
                .startRefused(
                    name,
                    container.pullPolicy == .never
                        ? .imageNeverPulled : .imageMissing(context.images.absence(of: container.image))))
        }
        let id = Hex.encode(SecureRandom.bytes(16)), words = lastWordsPath(name, id)
        let setup = NodeContainerSetup(
            pod: machine.pod, container: container, image: image, volumes: place.volumes, terminationLog: words,
            hostsFile: place.hostsFile, resolvers: PodResolvers.text(for: machine.pod, cluster: place.resolvers),
            isRoot: geteuid() == 0, hidden: [context.directory])
        do {
            let fields = PodPreparation(pod: machine.pod, context: context, tokens: tokens).fields(place)
            let environment = ContainerEnvironment(container: container, fields: fields, objects: context.objects)
            let finished = try setup.setup(variables: try environment.variables(base: try setup.baseVariables()))
            try await LocalPod.blocking { try Self.makeLastWords(words) }
            await removeOldLogs(of: name)
            try await context.link(uid).start(finished, name: name, id: id, memoryBytes: container.memoryLimit)
            post(.created(name, id: id, imageID: image.id))
        } catch let error as ContainerConfigError {
            post(.startRefused(name, error.description == "no command specified" ? .failed("\(error)") : .config("\(error)")))
        } catch {
            if !Task.isCancelled { post(.startRefused(name, .failed("\(error)"))) }
        }
    }

    private func postStart(_ container: NodeContainer, _ id: String) async {
        let failure = await run(hook: container.postStart ?? [:], of: container, within: .seconds(Self.probeHookSeconds))
        post(.postStartEnded(container.name, id: id, failure: failure))
    }

    /// preStop within the grace, then SIGTERM; SIGKILL when the grace is over.
    private func stop(_ name: String, grace: Duration) async {
        guard let container = machine.pod.container(name), let id = machine.lives[name]?.runID else { return }
        let deadline = context.time.now().advanced(by: grace)
        if let hook = container.preStop, grace > .zero, let failure = await run(hook: hook, of: container, within: grace) {
            tell(PodEvent(.warning, "FailedPreStopHook", "PreStopHook failed: \(failure)", container))
        }
        if grace > .zero {
            await signal(SIGTERM, name, id)
            guard (try? await context.time.sleep(until: deadline)) != nil else { return }
        }
        await signal(SIGKILL, name, id)
    }

    private func signal(_ number: Int32, _ name: String, _ id: String) async {
        do { try await context.link(uid).signal(number, name: name, id: id) } catch {
            // The supervisor has gone, and the container with it; whoever observes it hears of that.
            context.log.debug("pod.signal.failed", ["pod": .string(uid), "reason": .error(error)])
        }
    }

    /// nil when it did its work; otherwise what there is to say.
    private func run(hook: JSON, of container: NodeContainer, within limit: Duration) async -> String? {
        if let seconds = hook["sleep"]?["seconds"]?.intValue {
            // Cancelled: nobody waits for it any more.
            try? await context.time.sleep(for: min(limit, .seconds(seconds)))
            return nil
        }
        let probe = NodeProbe(hook, ports: container.json["ports"]?.arrayValue ?? [])
        do {
            let seconds = max(1, Int(limit.components.seconds))
            let outcome = try await context.link(uid).check(probe.target, timeoutSeconds: seconds, container: container.name)
            return outcome.passed ? nil : outcome.output
        } catch {
            return "\(error)"
        }
    }

    // MARK: - Probes

    private func check(_ container: NodeContainer, _ probe: NodeProbe, _ kind: NodeProbe.Kind, _ id: String) async {
        var counter = ProbeMachine(
            period: probe.period, successThreshold: probe.successThreshold, failureThreshold: probe.failureThreshold)
        var pause = probe.initialDelay
        var toldAt: Instant?
        let begin = context.time.now()
        while true {
            guard (try? await context.time.sleep(for: pause)) != nil else { return }
            guard let life = machine.lives[container.name], life.runID == id, life.activity == .running else { return }
            let outcome: (passed: Bool, output: String)
            do {
                outcome = try await context.link(uid).check(
                    probe.target, timeoutSeconds: probe.timeoutSeconds, container: container.name)
            } catch {
                outcome = (false, "\(error)")
            }
            guard let life = machine.lives[container.name], life.runID == id, life.activity == .running else { return }
            // Before it has passed once, readiness is looked at more often than the period says; that is not told each time.
            let now = context.time.now()
            if !outcome.passed, kind != .readiness || now.duration(since: toldAt ?? begin) >= probe.period {
                toldAt = now
                tell(PodEvent(.warning, "Unhealthy", "\(kind.rawValue) probe failed: \(outcome.output)", container))
            }
            if counter.record(success: outcome.passed), let passes = counter.passes {
                post(.probed(container.name, id: id, kind, passes: passes))
                if kind == .startup { return }
            }
            pause = counter.delay(isReadiness: kind == .readiness)
        }
    }

    // MARK: - Files of runs

    private func lastWordsPath(_ name: String, _ id: String) -> String {
        "\(context.podDirectory(uid))/words/\(name)-\(id)"
    }

    private static func makeLastWords(_ path: String) throws {
        guard let slash = path.lastIndex(of: "/") else { return }
        try Files.createDirectories(String(path[..<slash]), mode: 0o700)
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard file >= 0, fchmod(file, 0o666) == 0 else { throw FileError("create", path, errno: errno) }
        close(file)
    }

    /// What the container left in its termination log; with `FallbackToLogsOnError`, the end of its log.
    private func lastWords(of run: SandboxReport.ContainerReport) async -> String? {
        let path = lastWordsPath(run.name, run.id)
        let container = machine.pod.container(run.name)
        let fallsBack =
            container?.json["terminationMessagePolicy"]?.stringValue == "FallbackToLogsOnError" && run.exitCode != 0
        let log = logPath(run.name, run.id)
        let text = try? await LocalPod.blocking {
            // A container may have put a link there; only a file is read, and only its beginning.
            let bytes = try Files.readIfPresent(path, upTo: 1 << 20) ?? []
            if bytes.isEmpty, fallsBack { return LogText.tail(of: try Files.readIfPresent(log, upTo: 32 << 20) ?? []) }
            return String(decoding: bytes.prefix(Self.maxLastWordsBytes), as: UTF8.self)
        }
        return text.flatMap { $0.isEmpty ? nil : $0 }
    }

    nonisolated func logPath(_ name: String, _ id: String) -> String { "\(context.podDirectory(uid))/logs/\(name)/\(id).log" }

    /// Logs are kept of the present run and the one before it.
    private func removeOldLogs(of name: String) async {
        let kept = [machine.lives[name]?.runID, machine.lives[name]?.termination?.containerID.map { String($0.dropFirst(7)) }]
            .compactMap { $0 }
        let directory = "\(context.podDirectory(uid))/logs/\(name)"
        do {
            try await LocalPod.blocking {
                for file in try Files.entries(of: directory) where !kept.contains(where: { file.hasPrefix($0) }) {
                    try Files.remove("\(directory)/\(file)")
                }
            }
        } catch {
            context.log.debug("pod.log.kept", ["pod": .string(uid), "reason": .error(error)])
        }
    }
}
