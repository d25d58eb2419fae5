import ArgumentParser
import KarsCore

/// `kars toolpolicy apply` (spec/cli 4).
struct ToolPolicyFlags: PolicyFlags {
    typealias Kind = ToolPolicy

    static let noun = PolicyNoun(
        name: "toolpolicy", aliases: ["tp"], summary: "policies of tools",
        examples: """
            kars toolpolicy apply research --sandbox-label team=research --profile agt-profile.yaml
            kars tp apply shop --sandbox-label app=shop --tool 'pay*' --daily-cap 'USD 100.00' --counterparty acme
            kars tp apply research --from-file toolpolicy.yaml --dry-run
            """)

    @Option(help: "The tool that is meant; * for all.") var tool: String?
    @Option(help: "The McpServer whose tools are meant.") var mcpServer: String?
    @Option(help: ArgumentHelp("A label of the sandboxes that are meant; repeat for more.", valueName: "key=value"))
    var sandboxLabel: [String] = []
    @Option(help: "Calls in a second.") var rps: Int?
    @Option(help: "Calls at once.") var burst: Int?
    @Option(help: "The time in which calls are counted: 1m, 1h, 24h.") var window: String?
    @Option(help: "Most that may be spent in a day: 'USD 100.00'.") var dailyCap: String?
    @Option(help: "Most that may be spent in a month.") var monthlyCap: String?
    @Option(help: "Most that may be spent at once.") var perTransferCap: String?
    @Option(help: "Who may be paid; repeat for more.") var counterparty: [String] = []
    @Option(help: "When a person has to agree: never, always or aboveThreshold.") var approvalMode: String?
    @Option(help: "The amount above which a person has to agree.") var approvalThreshold: String?
    @Option(help: "Where people are asked.") var approvalChannel: String?
    @Option(help: ArgumentHelp("The AGT profile, a YAML file; - is standard input.", valueName: "file")) var profile: String?
    @Option(help: "A name for people.") var displayName: String?

    static let columns = ["TOOL", "DAILYCAP"]

    static func cells(of spec: ToolPolicy.Spec) -> [String] { [spec.appliesTo.tool ?? "-", spec.commerce?.dailyCap ?? "-"] }

    func spec() throws -> ToolPolicy.Spec {
        var spec = ToolPolicy.Spec()
        spec.appliesTo.tool = tool
        spec.appliesTo.mcpServer = mcpServer
        spec.appliesTo.sandboxMatchLabels = try Self.pairs(sandboxLabel, "--sandbox-label")
        if rps != nil || burst != nil || window != nil {
            var rate = ToolPolicy.RateLimit()
            rate.rps = rps
            rate.burst = burst
            rate.window = window
            spec.rateLimit = rate
        }
        if dailyCap != nil || monthlyCap != nil || perTransferCap != nil || !counterparty.isEmpty {
            var commerce = ToolPolicy.Commerce()
            commerce.dailyCap = dailyCap
            commerce.monthlyCap = monthlyCap
            commerce.perTransferCap = perTransferCap
            commerce.counterpartyAllowlist = counterparty
            spec.commerce = commerce
        }
        if approvalMode != nil || approvalThreshold != nil || approvalChannel != nil {
            var approval = ToolPolicy.Approval()
            approval.mode = try Self.choice(approvalMode, "--approval-mode")
            approval.threshold = approvalThreshold
            approval.channel = approvalChannel
            spec.approval = approval
        }
        if let profile {
            var source = ToolPolicy.Profile()
            source.inline = String(decoding: try TextInput.read(profile, upTo: PolicyManifest.maxFileBytes), as: UTF8.self)
            spec.agtProfile = source
        }
        spec.displayName = displayName
        return spec
    }
}
