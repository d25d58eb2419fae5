extension KarsEval {
    package struct Status: SchemaRecord {
        package enum Phase: String, SchemaChoice {
            case pending = "Pending", running = "Running", ready = "Ready", degraded = "Degraded"
        }

        package var phase: Phase?
        package var observedGeneration: Int?
        package var corpusConfigMapRef: ObjectReference?
        package var corpusDigest: String?
        package var cronJobName: String?
        /// RFC 3339.
        package var lastRunAt: String?
        package var lastResult: Result?
        /// Newest first.
        package var history: [Run] = []
        package var conditions: [Condition] = []

        package init() {}

        package static let maxHistory = 20
        package static let summary = "What the last runs found."
        package static let fields: [SchemaField<Status>] = [
            .optional("phase", \.phase, "Pending, Running, Ready, or Degraded when a case failed."),
            .optional("observedGeneration", \.observedGeneration, "The generation that this speaks of."),
            .optional("corpusConfigMapRef", \.corpusConfigMapRef, "The cases as they were resolved."),
            .optional("corpusDigest", \.corpusDigest, "Digest of the cases."),
            .optional("cronJobName", \.cronJobName, "What runs them by schedule."),
            .optional("lastRunAt", \.lastRunAt, "When the last run ended.") { $0.with(\.format, "date-time") },
            .optional("lastResult", \.lastResult, "What the last run found."),
            .collection("history", \.history, "Runs, the newest first.") { $0.with(\.maxItems, maxHistory).atomic() },
            [Condition].field(\.conditions),
        ]
    }

    /// What one run found.
    package struct Result: SchemaRecord {
        package var schemaVersion = ""
        package var corpusDigest = ""
        package var corpusLabel = ""
        package var jobName = ""
        package var total = 0
        package var passed = 0
        package var failed = 0
        package var errored = 0
        package var firstFailingCases: [String] = []

        package init() {}

        package static let summary = "Which cases passed."
        package static let fields: [SchemaField<Result>] = [
            .required("schemaVersion", \.schemaVersion, "Of the report."),
            .required("corpusDigest", \.corpusDigest, "Digest of the cases that were run."),
            .required("corpusLabel", \.corpusLabel, "Where they came from."),
            .required("jobName", \.jobName, "Which Job ran them."),
            .required("total", \.total, "How many cases there are.") { $0.atLeast(0) },
            .required("passed", \.passed, "How many went as expected.") { $0.atLeast(0) },
            .required("failed", \.failed, "How many did not.") { $0.atLeast(0) },
            .required("errored", \.errored, "How many could not be tried.") { $0.atLeast(0) },
            .collection("firstFailingCases", \.firstFailingCases, "The first of those that failed.") { $0.with(\.maxItems, 5) },
        ]
    }

    /// One line of the history.
    package struct Run: SchemaRecord {
        package var at = ""
        package var corpusDigest = ""
        package var jobName = ""
        package var total = 0
        package var passed = 0
        package var failed = 0
        package var errored = 0

        package init() {}

        package static let summary = "A run and its numbers."
        package static let fields: [SchemaField<Run>] = [
            .required("at", \.at, "When it ended.") { $0.with(\.format, "date-time") },
            .required("corpusDigest", \.corpusDigest, "Digest of the cases that were run."),
            .required("jobName", \.jobName, "Which Job ran them."),
            .required("total", \.total, "How many cases there were.") { $0.atLeast(0) },
            .required("passed", \.passed, "How many went as expected.") { $0.atLeast(0) },
            .required("failed", \.failed, "How many did not.") { $0.atLeast(0) },
            .required("errored", \.errored, "How many could not be tried.") { $0.atLeast(0) },
        ]
    }
}
