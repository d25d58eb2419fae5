import ArgumentParser
import KarsCore

/// What differs between installations, as flags.
struct ManifestOptions: ParsableArguments {
    @Option(help: "The namespace of the controller, where sandboxes are declared.") var namespace = ManifestConfig().namespace
    @Option(help: "The image of kars: controller, routers, guards.") var image = ManifestConfig().image
    @Option(help: ArgumentHelp("Registry and path before the names of adapter images.", valueName: "prefix"))
    var adapterPrefix = ""
    @Option(help: "How many controllers run; one of them leads.") var replicas = ManifestConfig().replicas
    @Flag(help: "Refuse egress allow lists that nobody signed.") var requireSigned = false
    @Option(help: ArgumentHelp("The weakest content safety allowed: Safe, Low, Medium or High.", valueName: "severity"))
    var contentSafetyFloor = "Medium"
    @Flag(help: "With what the repair agent needs.") var sre = false

    func validate() throws {
        guard SafetySeverity(name: contentSafetyFloor) != nil else {
            throw ValidationError("--content-safety-floor \(contentSafetyFloor): expected Safe, Low, Medium or High")
        }
        guard (1...10).contains(replicas) else { throw ValidationError("--replicas \(replicas): expected 1 to 10") }
        let isLabel = namespace.utf8.count <= 63 && namespace.wholeMatch(of: /[a-z0-9]([-a-z0-9]*[a-z0-9])?/) != nil
        guard isLabel else { throw ValidationError("--namespace \(namespace): expected a DNS label") }
    }

    var config: ManifestConfig {
        var config = ManifestConfig()
        config.namespace = namespace
        config.image = image
        config.adapterPrefix = adapterPrefix
        config.replicas = replicas
        config.requiresSignedAllowlists = requireSigned
        config.contentSafetyFloor = SafetySeverity(name: contentSafetyFloor) ?? .medium
        return config
    }

    /// Everything, and what the repair agent needs only if it is wanted.
    var parts: [ManifestPart] { ManifestPart.allCases.filter { $0 != .sre || sre } }
}
