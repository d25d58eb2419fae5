import ArgumentParser
import KarsCore

/// `kars manifests`: what `kars install` would apply, for those who apply it themselves.
struct ManifestsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manifests", abstract: "Print what an installation consists of: definitions, roles, policies, controller.",
        discussion: """
            Examples:
              kars manifests > kars.yaml
              kars manifests --crds --output json
              kars manifests --helm charts/kars
              kars manifests --reference > docs/crd-reference.md
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case yaml, json }

    @OptionGroup var options: ManifestOptions
    @Flag(help: "The definitions of the kinds.") var crds = false
    @Flag(help: "Accounts, roles and bindings.") var rbac = false
    @Flag(help: "Admission policies and their bindings.") var admission = false
    @Flag(help: "The controller and its surroundings.") var `operator` = false
    @Flag(help: "What a new installation begins with.") var defaults = false
    @Flag(help: "All of it; the default.") var all = false
    @Option(help: ArgumentHelp("Write a Helm chart into this directory instead.", valueName: "directory")) var helm: String?
    @Flag(help: "Print a page about the kinds and their fields instead.") var reference = false
    @Option(name: .shortAndLong, help: "yaml or json.") var output = Format.yaml

    func run() throws {
        if let helm { return try writeChart(to: helm) }
        if reference { return Terminal.printPart(KindReference.page(KarsManifests.kinds)) }
        let manifests = KarsManifests.all(parts, options.config).map { JSON.object($0.object) }
        switch output {
        case .yaml: Terminal.printPart(YAML.emit(manifests))
        case .json:
            let list: JSON = ["apiVersion": "v1", "kind": "List", "items": .array(manifests)]
            Terminal.printLine(String(decoding: list.encoded(pretty: true), as: UTF8.self))
        }
    }

    private var parts: [ManifestPart] {
        var chosen: [ManifestPart] = []
        if crds { chosen.append(.definitions) }
        if rbac { chosen.append(.access) }
        if admission { chosen.append(.admission) }
        if self.operator { chosen.append(.controller) }
        if defaults { chosen.append(.defaults) }
        if options.sre, !chosen.isEmpty { chosen.append(.sre) }
        return all || chosen.isEmpty ? options.parts : chosen
    }

    private func writeChart(to directory: String) throws {
        do {
            for file in HelmChart.files {
                let path = "\(directory)/\(file.path)"
                try Files.createDirectories(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]), mode: 0o755)
                try AtomicFile.write(Array(file.text.utf8), to: path, mode: 0o644)
            }
        } catch {
            throw CommandFailure(.failed, "cannot write the chart: \(error)")
        }
        Terminal.note("\(HelmChart.files.count) files in \(directory)")
    }
}
