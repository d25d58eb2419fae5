import Synchronization

/// A value that a test can wait for.
package final class Watched<Value: Sendable>: Sendable {
    private struct State {
        var value: Value
        var waiting: [(condition: @Sendable (Value) -> Bool, continuation: UnsafeContinuation<Void, Never>)] = []
    }

    private let state: Mutex<State>

    package init(_ value: Value) { state = Mutex(State(value: value)) }

    package var value: Value { state.withLock { $0.value } }

    package func change(_ body: (inout Value) -> Void) {
        let ready = state.withLock { state in
            body(&state.value)
            let value = state.value
            let ready = state.waiting.filter { $0.condition(value) }
            state.waiting.removeAll { $0.condition(value) }
            return ready
        }
        for waiter in ready { waiter.continuation.resume() }
    }

    /// Returns as soon as `condition` holds for the value.
    package func wait(until condition: @escaping @Sendable (Value) -> Bool) async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let holds = state.withLock { state -> Bool in
                if condition(state.value) { return true }
                state.waiting.append((condition, continuation))
                return false
            }
            if holds { continuation.resume() }
        }
    }
}
