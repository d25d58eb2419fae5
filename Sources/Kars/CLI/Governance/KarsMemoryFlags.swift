import ArgumentParser
import KarsCore

/// `kars memory apply` (spec/cli 4).
struct KarsMemoryFlags: PolicyFlags {
    typealias Kind = KarsMemory

    static let noun = PolicyNoun(
        name: "memory", summary: "memories of agents",
        examples: """
            kars memory apply research --sandbox research --store memory-research --scope team/research --retention-days 90
            """)

    @Option(help: "The sandbox whose memories these are.") var sandbox: String?
    @Option(help: "The memory store.") var store: String?
    @Option(help: "The part of the store that the agent sees: letters, digits and _ - . % + @ /.") var scope: String?
    @Option(help: "How long memories are kept, in days.") var retentionDays: Int?
    @Option(help: "A name for people.") var displayName: String?
    @Flag(help: "Keep the memories when the sandbox is deleted.") var noDeleteOnSandboxDelete = false

    static let columns = ["SANDBOX", "STORE", "SCOPE"]

    static func cells(of spec: KarsMemory.Spec) -> [String] {
        [spec.sandboxRef.name, spec.storeName ?? "-", spec.scope ?? "-"]
    }

    func spec() throws -> KarsMemory.Spec {
        var spec = KarsMemory.Spec()
        guard let sandbox else { throw CommandFailure(.usage, "--sandbox is required: the sandbox whose memories these are") }
        spec.sandboxRef = ObjectReference(sandbox)
        spec.storeName = store
        spec.scope = scope
        spec.retentionDays = retentionDays
        if noDeleteOnSandboxDelete { spec.deleteOnSandboxDelete = false }
        spec.displayName = displayName
        return spec
    }
}
