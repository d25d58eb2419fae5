import ArgumentParser
import KarsCore

/// The command of a kind: `kars toolpolicy apply|get|list|delete`. One implementation; what differs is in `Flags`.
struct PolicyVerbs<Flags: PolicyFlags>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: Flags.noun.name, abstract: "Apply, show, list and delete \(Flags.noun.summary).",
            subcommands: [Apply.self, Get.self, List.self, Delete.self], aliases: Flags.noun.aliases)
    }

    struct Apply: AsyncParsableCommand {
        static var configuration: CommandConfiguration {
            CommandConfiguration(
                commandName: "apply", abstract: "Make one as described, or change it until it is.",
                discussion: """
                    What the flags or the file say is all that this command owns of the object: what it said before and says no longer is
                    removed, what others manage stays. Wrong descriptions are refused before anything is sent, all faults at once.

                    Examples:
                    \(Flags.noun.examples.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n"))
                    """)
        }

        @Argument(help: "Its name.") var name: String
        @OptionGroup var flags: Flags
        @Option(
            help: "Take the specification from this file, YAML or JSON; - is standard input. Other flags then count for nothing.")
        var fromFile: String?
        @Flag(help: "Print what would be applied and send nothing.") var dryRun = false
        @Flag(help: "Take over fields that somebody else manages.") var forceConflicts = false
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let object = try object()
            guard !dryRun else {
                return output.output == .json
                    ? output.print(.object(object)) { "" } : Terminal.printPart(YAML.emit(.object(object)))
            }
            output.print(try await Self.apply(object, to: cluster.connect(), forces: forceConflicts))
        }

        /// Checked.
        func object() throws -> JSONObject {
            let object: JSONObject
            let name = try PolicyManifest.checked(name: name)
            if let fromFile {
                let text = try TextInput.read(fromFile, upTo: PolicyManifest.maxFileBytes)
                object = try PolicyManifest.object(
                    Flags.Kind.self, name: name, namespace: cluster.namespace, file: fromFile, text: text)
            } else {
                object = PolicyManifest.object(
                    Flags.Kind.self, name: name, namespace: cluster.namespace, spec: try flags.spec().json)
            }
            _ = try PolicyManifest.check(object, as: Flags.Kind.self) { $0.spec.faults() }
            return object
        }

        static func apply(_ object: JSONObject, to cluster: ClusterConnection, forces: Bool) async throws -> Report {
            let before = try await cluster.find(Flags.Kind.self, object.name)
            let after = try await cluster.apply(Flags.Kind.kind.resource, object, forces: forces)
            let word =
                before == nil ? "created" : before?.resourceVersion == after.resourceVersion ? "unchanged" : "configured"
            return Report(
                json: ["result": .string(word), "object": .object(after.withoutManagers)],
                text: "\(Flags.Kind.title(object.name)) \(word)")
        }
    }

    struct Get: AsyncParsableCommand {
        static var configuration: CommandConfiguration {
            CommandConfiguration(
                commandName: "get", abstract: "Show one, with what became of it.",
                discussion: "Example: kars \(Flags.noun.name) get my-policy -o yaml")
        }

        @Argument(help: "Its name.") var name: String
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws { output.print(try await Self.report(name, in: cluster.connect())) }

        static func report(_ name: String, in cluster: ClusterConnection) async throws -> Report {
            let object = try await cluster.existing(Flags.Kind.self, name).withoutManagers
            var lines = ["\(Flags.Kind.title(name))  \(PolicyVerbs.phase(of: object))"]
            for condition in object["status"]?["conditions"]?.arrayValue ?? [] {
                let word = { (key: String) in condition[key]?.stringValue ?? "" }
                lines.append("  \(word("type"))=\(word("status"))  \(word("reason"))  \(word("message"))")
            }
            lines = lines.map(Terminal.safeLine)
            lines.append(Terminal.safe(YAML.emit(["spec": object["spec"] ?? [:]])).trimmingWhitespace())
            return Report(json: .object(object), text: lines.joined(separator: "\n"))
        }
    }

    struct List: AsyncParsableCommand {
        static var configuration: CommandConfiguration {
            CommandConfiguration(
                commandName: "list", abstract: "All of a namespace, as a table.",
                discussion: "Example: kars \(Flags.noun.name) list --context prod")
        }

        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws { output.print(try await Self.report(in: cluster.connect(), now: .now())) }

        static func report(in cluster: ClusterConnection, now: UTCTime) async throws -> Report {
            let objects = try await cluster.list(Flags.Kind.self).map(\.withoutManagers)
            var table = Table(["NAME"] + Flags.columns + ["AGE", "STATUS"])
            for object in objects {
                // One that this program cannot read is shown by what all objects have.
                let spec = try? Flags.Kind.Spec(reading: object["spec"] ?? [:], at: "spec")
                let cells = spec.map { Flags.cells(of: $0) } ?? Flags.columns.map { _ in "?" }
                table.add([object.name] + cells + [Age.text(of: object, now: now), PolicyVerbs.phase(of: object)])
            }
            let none = "no \(Flags.Kind.definition.kind) in \(cluster.namespace) of \(cluster.label)"
            return Report(json: .array(objects.map(JSON.object)), text: objects.isEmpty ? none : table.text)
        }
    }

    struct Delete: AsyncParsableCommand {
        static var configuration: CommandConfiguration {
            CommandConfiguration(
                commandName: "delete",
                abstract: "Delete one; sandboxes that refer to it keep what they have and say that it is missing.",
                discussion: "Example: kars \(Flags.noun.name) delete my-policy --no-prompt")
        }

        @Argument(help: "Its name.") var name: String
        @Flag(help: "Do not ask.") var noPrompt = false
        @OptionGroup var cluster: NamespacedOptions

        func run() async throws {
            if !noPrompt { try Consent.ask("Delete \(Flags.Kind.title(name))?", flag: "--no-prompt") }
            try await Self.delete(name, in: cluster.connect())
            Terminal.note("\(Flags.Kind.title(name)) deleted")
        }

        static func delete(_ name: String, in cluster: ClusterConnection) async throws {
            guard try await cluster.delete(Flags.Kind.self, name) else { throw cluster.missing(Flags.Kind.self, name) }
        }
    }

    /// What the controller last said, for a cell.
    private static func phase(of object: JSONObject) -> String { object["status"]?["phase"]?.stringValue ?? "-" }
}

extension JSONObject {
    /// Without the books of field ownership, which are for programs.
    var withoutManagers: JSONObject {
        var object = self
        object.metadata["managedFields"] = nil
        return object
    }
}

/// Text that a command is given in a file, or with `-` on standard input.
enum TextInput {
    static func read(_ file: String, upTo limit: Int) throws(CommandFailure) -> [UInt8] {
        do {
            // The kernel's own name for it, so that there is one way to read.
            return try Files.read(file == "-" ? "/dev/stdin" : file, upTo: limit)
        } catch {
            throw CommandFailure(.usage, "cannot read \(file): \(error)")
        }
    }
}
