import KarsCore
import KarsTesting
import Synchronization
import Testing

@testable import Kars

@Suite struct `Router watch` {
    /// Routers of which one is asked and never answers.
    private final class OneHangs: RouterProbe {
        let asked = Watched<Set<String>>([])

        func ask(_ sandbox: String) async -> RouterAnswer {
            asked.change { $0.insert(sandbox) }
            // Until the task is cancelled.
            if sandbox == "hangs" { for await _ in AsyncStream<Void>.makeStream().stream {} }
            return .report(RouterReport(sandbox: sandbox, entries: [:]))
        }

        func forget(_ sandbox: String) {}
    }

    @Test func `one router that never answers holds up nobody else`() async {
        let probe = OneHangs(), clock = ManualClock()
        let watch = RouterWatch(asking: probe, time: clock)
        let others = (0..<8).map { "s\($0)" }
        let answered = Watched<Set<String>>([])
        watch.addHandler { sandbox in answered.change { $0.insert(sandbox.name) } }
        await withDiscardingTaskGroup { group in
            group.addTask { await watch.run() }
            watch.expect("sha256:a", of: .profile, from: ObjectKey(namespace: "team", name: "hangs"))
            await probe.asked.wait { $0 == ["hangs"] }
            for name in others { watch.expect("sha256:a", of: .profile, from: ObjectKey(namespace: "team", name: name)) }
            await answered.wait { $0 == Set(others) }
            group.cancelAll()
        }
        #expect(watch.answer(of: ObjectKey(namespace: "team", name: "hangs")) == nil)
    }
}
