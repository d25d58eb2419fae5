import KarsCore

/// The Job that holds a sandbox to a corpus. Its pod is the sandbox's in everything but the agent: the same guard, router, policies and
/// network, with the runner in the agent's place. So what is judged is what the agent would meet, the running agent notices nothing of it,
/// and no port of a sandbox is opened to anybody.
enum EvalJob {
    static let evalLabel = "kars.azure.com/karseval"
    static let triggerLabel = "kars.azure.com/karseval-trigger"
    static let dueAnnotation = "kars.azure.com/karseval-due"
    static let jobNameLabel = "batch.kubernetes.io/job-name"
    static let container = "runner"
    static let corpusPath = "/etc/kars/eval-corpus"
    static let corpusFile = "corpus.json"
    static let lastWords = "/dev/termination-log"

    enum Trigger: Equatable, Sendable {
        /// With a name of its own, from when it was taken note of.
        case byHand(id: String)
        case schedule(due: UTCTime)
    }

    /// What a run needs to know.
    struct Run: Sendable {
        var eval: KarsEval
        var corpusLabel: String
        var trigger: Trigger
    }

    static func namespace(of eval: KarsEval) -> String { "kars-\(eval.spec.targetSandboxRef.name)" }
    static func configMap(of eval: String) -> String { "karseval-\(eval)-corpus" }

    static func selector(of eval: KarsEval) -> String {
        "\(evalLabel)=\(eval.name),\(SandboxOwnership.homeLabel)=\(eval.namespace)"
    }

    static func labels(of eval: KarsEval) -> [String: String] {
        [
            evalLabel: eval.name, SandboxOwnership.homeLabel: eval.namespace, "app.kubernetes.io/managed-by": "kars-controller",
        ]
    }

    static func owner(of object: JSONObject) -> ObjectKey? {
        let labels = object.labels
        guard let name = labels[evalLabel], let home = labels[SandboxOwnership.homeLabel] else { return nil }
        return ObjectKey(namespace: home, name: name)
    }

    /// The same for the same cause, so that a run which was begun is not begun again.
    static func name(of run: Run) -> String {
        switch run.trigger {
        case .byHand(let id): "karseval-\(run.eval.name)-runnow-\(id)"
        case .schedule(let due): "karseval-\(run.eval.name)-\(due.seconds)"
        }
    }

    /// Of a request to run now that came with this version of the KarsEval.
    static func id(for resourceVersion: String) -> String { Hex.encode(SHA256.hash(Array(resourceVersion.utf8)).prefix(5)) }

    /// Nil: the Deployment is not one of a sandbox with a router.
    static func object(_ run: Run, besides deployment: JSONObject) -> JSONObject? {
        guard let template = deployment["spec"]?["template"]?.objectValue, let pod = pod(run, template["spec"]?.objectValue)
        else { return nil }
        var labels = Self.labels(of: run.eval)
        var annotations: [String: String] = [:]
        var secondsKept = 3_600
        switch run.trigger {
        case .byHand: labels[triggerLabel] = "run-now"
        case .schedule(let due):
            (labels[triggerLabel], annotations[dueAnnotation]) = ("schedule", due.rfc3339)
            secondsKept = 86_400
        }
        let metadata = ObjectMetadata(
            name: name(of: run), namespace: namespace(of: run.eval), labels: labels, annotations: annotations)
        // The policy of the network selects by component; neither Deployment nor Service may take this pod for the sandbox.
        var podLabels = template.labels.merging(labels) { _, ours in ours }
        podLabels[SandboxOwnership.sandboxLabel] = nil
        let podMetadata = ObjectMetadata(name: "", labels: podLabels, annotations: template.annotations)
        var podMetadataJSON = podMetadata.json.objectValue ?? JSONObject()
        podMetadataJSON["name"] = nil
        return [
            "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata.json,
            "spec": [
                "backoffLimit": 0, "activeDeadlineSeconds": 1_800,
                "ttlSecondsAfterFinished": .int(secondsKept),
                "template": ["metadata": .object(podMetadataJSON), "spec": .object(pod)],
            ],
        ]
    }

    private static func pod(_ run: Run, _ template: JSONObject?) -> JSONObject? {
        guard var pod = template, let agent = pod["containers"]?[0]?.objectValue,
            let beside = pod["initContainers"]?.arrayValue?.filter({
                [SandboxPod.guardContainer, SandboxPod.routerContainer].contains($0["name"]?.stringValue ?? "")
            }), let router = beside.first(where: { $0["name"]?.stringValue == SandboxPod.routerContainer })
        else { return nil }
        var runner: JSONObject = [
            "name": .string(container),
            "command": [
                "kars", "eval-runner", "--corpus", "\(corpusPath)/\(corpusFile)", "--corpus-label", .string(run.corpusLabel),
                "--summary-file", .string(lastWords),
            ],
            "env": [["name": "KARS_EVAL_NAME", "value": .string(run.eval.name)]],
            "resources": [
                "requests": ["cpu": "50m", "memory": "64Mi"], "limits": ["cpu": "500m", "memory": "256Mi"],
            ],
            "volumeMounts": [["name": "eval-corpus", "mountPath": .string(corpusPath), "readOnly": true]],
            "terminationMessagePath": .string(lastWords), "terminationMessagePolicy": "File",
        ]
        runner["image"] = run.eval.spec.runnerImage.map(JSON.string) ?? router["image"]
        runner["imagePullPolicy"] = router["imagePullPolicy"]
        // As confined as the agent.
        runner["securityContext"] = agent["securityContext"]
        pod["containers"] = [.object(runner)]
        pod["initContainers"] = .array(beside)
        pod["restartPolicy"] = "Never"
        pod["hostname"] = nil
        let corpus: JSON = ["name": "eval-corpus", "configMap": ["name": .string(configMap(of: run.eval.name))]]
        pod["volumes"] = .array((pod["volumes"]?.arrayValue ?? []) + [corpus])
        return pod
    }

    // MARK: - What became of one

    /// When it ended; nil: it has not.
    static func end(of job: JSONObject) -> UTCTime? {
        let condition = job["status"]?["conditions"]?.arrayValue?.first {
            ["Complete", "Failed"].contains($0["type"]?.stringValue ?? "") && $0["status"]?.stringValue == "True"
        }
        guard let condition else { return nil }
        let times = [job["status"]?["completionTime"], condition["lastTransitionTime"], job.metadata["creationTimestamp"]]
        return times.lazy.compactMap { $0?.stringValue }.compactMap { UTCTime(rfc3339: $0) }.first ?? UTCTime(seconds: 0)
    }

    /// The runner's last words, as the pod has them.
    static func lastWords(of pod: JSONObject) -> String? {
        pod["status"]?["containerStatuses"]?.arrayValue?
            .first { $0["name"]?.stringValue == container }?["state"]?["terminated"]?["message"]?.stringValue
    }

    /// Reads what a runner said, which has to add up and to be about this corpus.
    static func result(
        reading text: String, of job: String, corpusDigest: String
    ) throws(ResourceError) -> KarsEval.Result {
        guard text.utf8.count <= 2 * EvalReport.maxSummaryBytes, let json = try? JSON(parsing: Array(text.utf8)),
            var summary = json.objectValue
        else { throw ResourceError("", "the run left no report") }
        summary["jobName"] = .string(job)
        let result = try KarsEval.Result(reading: .object(summary), at: "report")
        guard result.schemaVersion == EvalReport.schemaVersion else {
            throw ResourceError("report.schemaVersion", "is not known")
        }
        guard result.corpusDigest == corpusDigest else { throw ResourceError("report.corpusDigest", "is of another corpus") }
        let parts = [result.passed, result.failed, result.errored]
        guard (1...EvalCorpus.maxCases).contains(result.total), parts.allSatisfy({ (0...result.total).contains($0) }),
            parts.reduce(0, +) == result.total, result.firstFailingCases.count <= 5
        else { throw ResourceError("report", "its numbers do not add up") }
        return result
    }
}
