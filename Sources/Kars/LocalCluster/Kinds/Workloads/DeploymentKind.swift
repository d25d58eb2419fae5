import KarsCore

/// Deployment: pods of one template, replaced step by step when it changes.
struct DeploymentKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "apps", version: "v1", resource: "deployments"), kind: "Deployment", isNamespaced: true,
            shortNames: ["deploy"], categories: ["all"]),
        DeploymentKind(),
        columns: [
            .name,
            .text("Ready", "How many of the wanted pods are ready.") {
                "\($0["status"]?["readyReplicas"]?.intValue ?? 0)/\($0["spec"]?["replicas"]?.intValue ?? 0)"
            },
            .number("Up-to-date", type: "string", "How many pods have the present template.") {
                $0["status"]?["updatedReplicas"]?.intValue ?? 0
            },
            .number("Available", type: "string", "How many pods have been ready long enough.") {
                $0["status"]?["availableReplicas"]?.intValue ?? 0
            },
            .age,
        ] + CellText.templateColumns, scale: WorkloadTypes.scale)

    private static let rollingUpdate = APIObjectType(
        .apps, "RollingUpdateDeployment", "How many pods may be away or too many meanwhile.",
        [
            .pointer("maxUnavailable", .intOrString, "How many may be away; a number or a percentage."),
            .pointer("maxSurge", .intOrString, "How many there may be too many; a number or a percentage."),
        ])

    private static let spec = APIObjectType(
        .apps, "DeploymentSpec", "What is wanted.",
        [
            .pointer("replicas", .int32, default: 1, "How many pods there are to be."),
            .required("selector", .nullableObject(MetaTypes.labelSelector), "Which pods belong to it. Never changes."),
            .required("template", .object(PodTypes.templateSpec), "How the pods are to look."),
            .shown(
                "strategy",
                .object(
                    APIObjectType(
                        .apps, "DeploymentStrategy", "How pods are replaced.",
                        [
                            .optional("type", .choice(["Recreate", "RollingUpdate"]), "`RollingUpdate` or `Recreate`."),
                            .optional("rollingUpdate", .object(rollingUpdate), "Bounds of a rolling update."),
                        ])), patch: "retainKeys", "How pods are replaced."),
            .optional("minReadySeconds", .int32, "Seconds that a pod is ready before it counts as available."),
            .pointer("revisionHistoryLimit", .int32, default: 10, "How many old ReplicaSets are kept."),
            .optional("paused", .boolean, "Whether changes of the template wait."),
            .pointer("progressDeadlineSeconds", .int32, default: 600, "Seconds without progress that count as failure."),
        ])

    private static let status = APIObjectType(
        .apps, "DeploymentStatus", "What is there.",
        [
            .optional("observedGeneration", .int64, "The generation that was looked at."),
            .optional("replicas", .int32, "How many pods there are."),
            .optional("updatedReplicas", .int32, "How many have the present template."),
            .optional("readyReplicas", .int32, "How many are ready."),
            .optional("availableReplicas", .int32, "How many have been ready long enough."),
            .optional("unavailableReplicas", .int32, "How many are missing."),
            .pointer("terminatingReplicas", .int32, "How many are going."),
            .optional("conditions", .keyed(condition, by: "type"), "Aspects of its state."),
            .pointer("collisionCount", .int32, "How often a ReplicaSet's name was taken."),
        ])

    private static let condition = APIObjectType(
        .apps, "DeploymentCondition", "One aspect of a Deployment's state.",
        [
            .required("type", .string, "Which aspect."),
            .required("status", .string, "`True`, `False` or `Unknown`."),
            .shown("lastUpdateTime", .time, "When it was last looked at."),
            .shown("lastTransitionTime", .time, "When `status` last changed."),
            .optional("reason", .string, "Why, for programs."),
            .optional("message", .string, "Why, for people."),
        ])

    let type = APIObjectType.kind(
        .apps, "Deployment", "Pods of one template, replaced step by step when it changes.",
        [.shown("spec", .object(spec), "What is wanted."), .shown("status", .object(status), "What is there.")])

    let hasStatus = true
    let countsGenerations = true

    func complete(_ object: inout JSONObject) {
        object.withObject(at: "spec") { spec in
            spec.withObject(at: "template", "spec") { PodDefaults.completeSpec(&$0) }
            spec.withObject(at: "strategy") { strategy in
                strategy.setDefault("type", "RollingUpdate")
                guard strategy["type"] == "RollingUpdate" else { return }
                strategy.setDefault("rollingUpdate", [:])
                strategy.withObject(at: "rollingUpdate") { update in
                    update.setDefault("maxUnavailable", "25%")
                    update.setDefault("maxSurge", "25%")
                }
            }
        }
    }

    func faults(in object: JSONObject) -> [FieldError] {
        let spec = object["spec"] ?? [:]
        var faults = FieldChecks.nonNegative(spec["replicas"], at: "spec.replicas")
        faults += WorkloadRules.selectorFaults(spec["selector"], at: "spec.selector")
        faults += WorkloadRules.templateFaults(spec, at: "spec.template")
        faults += strategyFaults(spec["strategy"] ?? [:])
        faults += FieldChecks.nonNegative(spec["minReadySeconds"], at: "spec.minReadySeconds")
        faults += FieldChecks.nonNegative(spec["revisionHistoryLimit"], at: "spec.revisionHistoryLimit")
        if let deadline = spec["progressDeadlineSeconds"]?.intValue {
            faults += FieldChecks.nonNegative(spec["progressDeadlineSeconds"], at: "spec.progressDeadlineSeconds")
            if deadline <= spec["minReadySeconds"]?.intValue ?? 0 {
                faults.append(.invalid("spec.progressDeadlineSeconds", .int(deadline), "must be greater than minReadySeconds"))
            }
        }
        return faults
    }

    private func strategyFaults(_ strategy: JSON) -> [FieldError] {
        switch strategy["type"] {
        case "Recreate":
            return strategy["rollingUpdate"] == nil
                ? [] : [.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")]
        case "RollingUpdate":
            let path = "spec.strategy.rollingUpdate"
            let update = strategy["rollingUpdate"] ?? [:]
            var faults = FieldChecks.count(update["maxUnavailable"], at: "\(path).maxUnavailable")
            faults += FieldChecks.count(update["maxSurge"], at: "\(path).maxSurge")
            if isZero(update["maxUnavailable"]), isZero(update["maxSurge"]) {
                faults.append(
                    .invalid("\(path).maxUnavailable", update["maxUnavailable"] ?? 0, "may not be 0 when `maxSurge` is 0"))
            }
            if let text = update["maxUnavailable"]?.stringValue, let percent = FieldChecks.percentage(text), percent > 100 {
                faults.append(.invalid("\(path).maxUnavailable", .string(text), "must not be greater than 100%"))
            }
            return faults
        default:
            return FieldChecks.oneOf(strategy["type"], ["Recreate", "RollingUpdate"], at: "spec.strategy.type")
        }
    }

    private func isZero(_ value: JSON?) -> Bool {
        value?.intValue == 0 || value?.stringValue.flatMap(FieldChecks.percentage) == 0
    }

    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] {
        FieldChecks.immutable(object["spec"]?["selector"], old["spec"]?["selector"], at: "spec.selector")
    }
}
