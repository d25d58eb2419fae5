import ArgumentParser
import KarsCore

/// `kars sre`: repairs that an agent proposed, and a person's decision about each (spec/sre 4).
struct SRECommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sre", abstract: "See the repairs that were proposed, and decide about them.",
        discussion: """
            A repair never changes after it was proposed: what you look at is what is done. The decision is recorded under the name by
            which the cluster knows you; approving needs a role that allows it (kars:sre-approver).

            Examples:
              kars sre actions
              kars sre show sre-action-ab12c
              kars sre approve sre-action-ab12c --note "quota was left from the load test"
              kars sre reject sre-action-ab12c --reason "the image is the wrong one"
            """,
        subcommands: [Approve.self, Reject.self, Actions.self, Show.self], defaultSubcommand: Actions.self)

    /// Where repairs are proposed.
    static let namespace = "kars-sre"

    struct Actions: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The repairs that were proposed, newest first.", discussion: "Example: kars sre actions --all-namespaces")
        @Flag(help: "Of every namespace.") var allNamespaces = false
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let cluster = try cluster.connect(defaultNamespace: SRECommand.namespace)
            output.print(try await Self.report(in: cluster, allNamespaces: allNamespaces, now: .now()))
        }

        static func report(in cluster: ClusterConnection, allNamespaces: Bool, now: UTCTime) async throws -> Report {
            let objects = try await cluster.ask("listing the proposed repairs") { api in
                try await api.list(KarsSREAction.kind.resource, namespace: allNamespaces ? nil : cluster.namespace).items
            }.sorted { ($0.created, $1.name) > ($1.created, $0.name) }
            var table = Table(["NAME", "TYPE", "TARGET", "PHASE", "APPROVAL", "BY", "AGE"])
            for object in objects {
                let approval = object["spec"]?["approval"]
                table.add([
                    allNamespaces ? "\(object.namespace ?? "-")/\(object.name)" : object.name,
                    object["spec"]?["action"]?["type"]?.stringValue ?? "-", target(of: object),
                    object["status"]?["phase"]?.stringValue ?? "-", approval?["state"]?.stringValue ?? "-",
                    approval?["by"]?.stringValue ?? "-", Age.text(of: object, now: now),
                ])
            }
            return Report(
                json: .array(objects.map { .object($0.withoutManagers) }),
                text: objects.isEmpty
                    ? "no repair was proposed in \(allNamespaces ? cluster.label : "\(cluster.namespace) of \(cluster.label)")"
                    : table.text)
        }

        private static func target(of object: JSONObject) -> String {
            let params = object["spec"]?["action"]?["params"]
            return "\(params?["namespace"]?.stringValue ?? "?")/\(params?["name"]?.stringValue ?? "?")"
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "One repair: what, to what, why, and how far it is.", discussion: "Example: kars sre show sre-action-ab12c")
        @Argument(help: "Its name.") var name: String
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let cluster = try cluster.connect(defaultNamespace: SRECommand.namespace)
            output.print(try Self.report(await cluster.existing(KarsSREAction.self, name), in: cluster))
        }

        static func report(_ object: JSONObject, in cluster: ClusterConnection) throws -> Report {
            let action = try SRECommand.read(object, in: cluster)
            let request = action.spec.action, approval = action.spec.approval
            var lines = ["\(object.name)  \(action.status.phase?.rawValue ?? "not looked at yet")"]
            func add(_ label: String, _ value: String?) {
                guard let value, !value.isEmpty else { return }
                lines.append("  \(label)\(String(repeating: " ", count: max(1, 11 - label.count)))\(Terminal.safeLine(value))")
            }
            add("action", request.type.rawValue)
            for parameter in request.params.json.objectValue ?? JSONObject() {
                add("  \(parameter.key)", parameter.value.stringValue ?? parameter.value.intValue.map(String.init))
            }
            add("diagnosis", action.spec.diagnosis)
            add("rationale", action.spec.rationale)
            add("approval", approval.state.rawValue + (approval.by.map { " by \($0)" } ?? ""))
            add("note", approval.note)
            add("lasts", approval.state == .pending ? "\(action.spec.ttlMinutes) minutes from when it was proposed" : nil)
            add("change", action.status.change)
            for condition in action.status.conditions {
                add("condition", "\(condition.type)=\(condition.status.rawValue) \(condition.reason) \(condition.message)")
            }
            return Report(json: .object(object.withoutManagers), text: lines.joined(separator: "\n"))
        }
    }

    struct Approve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a proposed repair be done.",
            discussion: "Example: kars sre approve sre-action-ab12c --note 'as agreed'")
        @Argument(help: "Its name.") var name: String
        @Option(help: "What you have to say about it; it is recorded.") var note: String?
        @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let cluster = try cluster.connect(defaultNamespace: SRECommand.namespace)
            let object = try await cluster.existing(KarsSREAction.self, name)
            if !yes {
                Terminal.note(try Show.report(object, in: cluster).text)
                try Consent.ask("Approve it?", flag: "--yes")
            }
            output.print(try await SRECommand.decide(object, .approved, note, in: cluster))
        }
    }

    struct Reject: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Refuse a proposed repair.",
            discussion: "Example: kars sre reject sre-action-ab12c --reason 'not that quota'")
        @Argument(help: "Its name.") var name: String
        @Option(help: "Why; it is recorded.") var reason: String?
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let cluster = try cluster.connect(defaultNamespace: SRECommand.namespace)
            let object = try await cluster.existing(KarsSREAction.self, name)
            output.print(try await SRECommand.decide(object, .rejected, reason, in: cluster))
        }
    }

    // MARK: - Decisions

    /// Writes a decision about exactly the version that was looked at, in the name that the cluster knows this person by.
    static func decide(
        _ object: JSONObject, _ state: KarsSREAction.Approval.State, _ note: String?, in cluster: ClusterConnection
    ) async throws -> Report {
        let action = try read(object, in: cluster), name = object.name
        guard action.spec.approval.state == .pending else {
            throw CommandFailure(
                .refusedByPolicy,
                "\(name) is \(action.spec.approval.state.rawValue) already\(action.spec.approval.by.map { ", by \($0)" } ?? "")",
                advice: "A decision stands; another repair has to be proposed.")
        }
        try requireOpen(action, state)
        let me = try await cluster.ask("asking who we are") { api in
            try await api.send(.reviewSelf())["status"]?["userInfo"]?["username"]?.stringValue
        }
        guard let me, !me.isEmpty else { throw CommandFailure(.failed, "\(cluster.label) does not say who we are") }
        var approval: JSONObject = ["state": .string(state.rawValue), "by": .string(me)]
        approval["note"] = note.map { .string($0) }
        let patch: JSON = [
            "metadata": ["resourceVersion": object.metadata["resourceVersion"] ?? .null], "spec": ["approval": .object(approval)],
        ]
        let after = try await cluster.merge(KarsSREAction.self, name, patch)
        return Report(json: .object(after.withoutManagers), text: "\(name): \(state.rawValue) by \(me)")
    }

    /// What is over is not decided about; and what the controller has not seen undecided it never does, so nobody is let approve it.
    private static func requireOpen(_ action: KarsSREAction, _ state: KarsSREAction.Approval.State) throws(CommandFailure) {
        switch action.status.phase {
        case .proposed: return
        case nil where state == .rejected: return
        case nil:
            throw CommandFailure(
                .failed, "\(action.name) is not Proposed yet: the controller has not looked at it",
                advice: "Try again in a moment; `kars sre show \(action.name)` says how far it is.")
        case let phase?:
            let reason = action.status.conditions["Degraded"]?.message ?? ""
            throw CommandFailure(
                .refusedByPolicy, "\(action.name) is \(phase.rawValue)\(reason.isEmpty ? "" : ": \(reason)")",
                advice: "There is nothing left to decide; another repair has to be proposed.")
        }
    }

    private static func read(_ object: JSONObject, in cluster: ClusterConnection) throws(CommandFailure) -> KarsSREAction {
        do throws(ResourceError) { return try KarsSREAction(reading: object) } catch {
            throw CommandFailure(.failed, "\(KarsSREAction.title(object.name)) of \(cluster.label) cannot be read: \(error)")
        }
    }
}

extension JSONObject {
    /// RFC 3339, and so in the order of time; empty when it does not say.
    fileprivate var created: String { metadata["creationTimestamp"]?.stringValue ?? "" }
}
