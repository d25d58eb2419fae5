import KarsCore
import Synchronization

/// One consistent set of compiled policies. A call takes it once and is judged by it to its end, whatever is reloaded
/// meanwhile.
final class EnforcedPolicy: Sendable {
    let engine: PolicyEngine
    /// Digest of the profile files in force; nil while none could be loaded, and then everything is denied.
    let profileDigest: String?
    let inference: InferenceRules
    let inferenceDigest: String?

    init(engine: PolicyEngine, profileDigest: String?, inference: InferenceRules, inferenceDigest: String?) {
        self.engine = engine
        self.profileDigest = profileDigest
        self.inference = inference
        self.inferenceDigest = inferenceDigest
    }

    /// The policy's limits, and the configured ones where it sets none.
    func limits(otherwise budget: RouterConfig.Budget) -> TokenLimits {
        TokenLimits(
            perRequest: inference.limits.perRequest ?? budget.perRequest, daily: inference.limits.daily ?? budget.daily,
            monthly: inference.limits.monthly)
    }

    static func denyingAll(because reason: String) -> EnforcedPolicy {
        EnforcedPolicy(
            engine: .denyingAll(because: reason), profileDigest: nil, inference: InferenceRules(), inferenceDigest: nil)
    }
}

/// The policies in force and the board that tells of them.
final class PolicyStore: Sendable {
    let board = PolicyStatusBoard()
    private let state: Mutex<EnforcedPolicy>
    private let binding = Mutex<MemoryBinding?>(nil)

    init(_ policy: EnforcedPolicy = .denyingAll(because: "no profile has been loaded yet")) { state = Mutex(policy) }

    var current: EnforcedPolicy { state.withLock { $0 } }

    /// Where memories are kept, and the only scope in it that the agent may see; nil: it has none.
    var memory: MemoryBinding? { binding.withLock { $0 } }

    func replace(memory: MemoryBinding?) { binding.withLock { $0 = memory } }

    /// Replaces the profile, leaving the inference policy as it is.
    func replace(engine: PolicyEngine, digest: String?) {
        state.withLock {
            $0 = EnforcedPolicy(
                engine: engine, profileDigest: digest, inference: $0.inference, inferenceDigest: $0.inferenceDigest)
        }
    }

    /// Replaces the inference policy, leaving the profile as it is.
    func replace(inference: InferenceRules, digest: String?) {
        state.withLock {
            $0 = EnforcedPolicy(
                engine: $0.engine, profileDigest: $0.profileDigest, inference: inference, inferenceDigest: digest)
        }
    }
}
