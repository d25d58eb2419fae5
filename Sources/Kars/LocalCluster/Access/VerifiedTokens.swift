import KarsCore
import Synchronization

/// Remembers what tokens with a good signature say, so that the next request with the same one costs a hash and no signature check.
///
/// A signature stays good for ever, so nothing here can be stale: whether a token holds *now* (time, audience, the account and what it is
/// bound to) is asked anew each time. Tokens are known by their digests; the tokens themselves are not kept.
final class VerifiedTokens: Sendable {
    /// Entries; the oldest goes first.
    private let limit: Int
    private let state = Mutex(State())

    private struct State {
        var claims: [[UInt8]: ServiceAccountClaims] = [:]
        var order: [[UInt8]] = []
        /// Where in `order` the oldest stands.
        var oldest = 0
    }

    init(limit: Int = 1_024) { self.limit = limit }

    static func digest(of token: String) -> [UInt8] { SHA256.hash(Array(token.utf8)) }

    subscript(digest: [UInt8]) -> ServiceAccountClaims? { state.withLock { $0.claims[digest] } }

    func remember(_ claims: ServiceAccountClaims, as digest: [UInt8]) {
        state.withLock { state in
            guard state.claims.updateValue(claims, forKey: digest) == nil else { return }
            guard state.order.count == limit else { return state.order.append(digest) }
            state.claims[state.order[state.oldest]] = nil
            state.order[state.oldest] = digest
            state.oldest = (state.oldest + 1) % limit
        }
    }
}
