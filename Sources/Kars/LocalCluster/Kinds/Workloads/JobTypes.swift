import KarsCore

/// Types of batch/v1.
enum JobTypes {
    static let onExitCodes = APIObjectType(
        .batch, "PodFailurePolicyOnExitCodesRequirement", "Exit codes that a rule is for.",
        [
            .pointer("containerName", .string, "The container; any when absent."),
            .required("operator", .choice(["In", "NotIn"]), "How the codes are compared."),
            .required("values", .set(.int32), "The codes."),
        ])

    static let onPodConditions = APIObjectType(
        .batch, "PodFailurePolicyOnPodConditionsPattern", "A condition of the pod that a rule is for.",
        [.required("type", .string, "Type of the condition."), .optional("status", .string, default: "True", "Its status.")])

    static let podFailurePolicy = APIObjectType(
        .batch, "PodFailurePolicy", "What a failed pod means.",
        [
            .required(
                "rules",
                .list(
                    APIObjectType(
                        .batch, "PodFailurePolicyRule", "What some failures mean.",
                        [
                            .required("action", .choice(["Count", "FailIndex", "FailJob", "Ignore"]), "What follows."),
                            .optional("onExitCodes", .object(onExitCodes), "By exit codes."),
                            .optional("onPodConditions", .list(onPodConditions), "By conditions."),
                        ])),
                "Rules, the first that fits decides.")
        ])

    static let successPolicy = APIObjectType(
        .batch, "SuccessPolicy", "When an indexed job has succeeded early.",
        [
            .required(
                "rules",
                .list(
                    APIObjectType(
                        .batch, "SuccessPolicyRule", "Indexes that suffice.",
                        [
                            .pointer("succeededIndexes", .string, "Which indexes."),
                            .pointer("succeededCount", .int32, "How many of them."),
                        ])),
                "Rules of which one suffices.")
        ])

    static let spec = APIObjectType(
        .batch, "JobSpec", "What is wanted.",
        [
            .pointer("parallelism", .int32, "How many pods may run at once."),
            .pointer("completions", .int32, "How many pods are to succeed."),
            .pointer("activeDeadlineSeconds", .int64, "Seconds that the job may take."),
            .optional("podFailurePolicy", .object(podFailurePolicy), "What a failed pod means."),
            .optional("successPolicy", .object(successPolicy), "When the job has succeeded early."),
            .pointer("backoffLimit", .int32, default: 6, "How many failures the job bears."),
            .pointer("backoffLimitPerIndex", .int32, "How many failures each index bears."),
            .pointer("maxFailedIndexes", .int32, "How many indexes may fail."),
            .optional("selector", .object(MetaTypes.labelSelector), "Which pods belong to it; set by the server."),
            .pointer("manualSelector", .boolean, default: false, "Whether `selector` was chosen by hand."),
            .required("template", .object(PodTypes.templateSpec), "How the pods are to look."),
            .pointer("ttlSecondsAfterFinished", .int32, "Seconds after which a finished job is deleted."),
            .pointer("completionMode", .choice(["Indexed", "NonIndexed"]), default: "NonIndexed", "Whether pods have numbers."),
            .pointer("suspend", .boolean, default: false, "Whether no pods are made."),
            .pointer("podReplacementPolicy", .choice(["Failed", "TerminatingOrFailed"]), "When a pod is replaced."),
            .pointer("managedBy", .string, "Who runs the job, when not the built-in controller."),
        ])

    static let condition = APIObjectType(
        .batch, "JobCondition", "One aspect of a job's state.",
        [
            .required("type", .string, "Which aspect."),
            .required("status", .string, "`True`, `False` or `Unknown`."),
            .shown("lastProbeTime", .time, "When it was last looked at."),
            .shown("lastTransitionTime", .time, "When `status` last changed."),
            .optional("reason", .string, "Why, for programs."),
            .optional("message", .string, "Why, for people."),
        ])

    static let uncounted = APIObjectType(
        .batch, "UncountedTerminatedPods", "Pods that have ended and are not counted yet.",
        [
            .optional("succeeded", .set(.string), "Identities of those that succeeded."),
            .optional("failed", .set(.string), "Identities of those that failed."),
        ])

    static let status = APIObjectType(
        .batch, "JobStatus", "What is there.",
        [
            .optional(
                "conditions", .list(.object(condition), APIListRule(kind: .atomic, patchStrategy: "merge", patchKey: "type")),
                "Aspects of its state."),
            .pointer("startTime", .time, "When the job began."),
            .pointer("completionTime", .time, "When it succeeded."),
            .optional("active", .int32, "How many pods run."),
            .optional("succeeded", .int32, "How many have succeeded."),
            .optional("failed", .int32, "How many have failed."),
            .pointer("terminating", .int32, "How many are going."),
            .optional("completedIndexes", .string, "Indexes that have succeeded."),
            .pointer("failedIndexes", .string, "Indexes that have failed."),
            .optional("uncountedTerminatedPods", .object(uncounted), "Pods that are not counted yet."),
            .pointer("ready", .int32, "How many are ready."),
        ])

    static let job = APIObjectType.kind(
        .batch, "Job", "Pods that are to succeed.",
        [.shown("spec", .object(spec), "What is wanted."), .shown("status", .object(status), "What is there.")])
}
