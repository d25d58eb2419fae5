import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// A process that is killed leaves the file as it was and some prefix of the log behind it. Whatever the prefix, what was
/// acknowledged by then has to be there, and nothing may be there in part.
@Suite struct `Store after a crash` {
    private struct Acknowledged {
        let logBytes: Int
        let revision: Int
        let names: [String]
    }

    @Test(arguments: [UInt64(1), 2, 3]) func `every acknowledged write survives, wherever the log ends`(seed: UInt64) async throws
    {
        try await withTemporaryDirectory { directory in
            var random = SeededRandom(seed: seed)
            let path = ObjectStore.path(in: "\(directory)/live")
            let store = try ObjectStore(StoreConfig(directory: "\(directory)/live"))
            var history = [Acknowledged(logBytes: 0, revision: store.revision, names: [])]
            for step in 0..<60 {
                let name = "n\(Int.random(in: 0..<8, using: &random))"
                let value = String(repeating: "v", count: Int.random(in: 1...6000, using: &random))
                switch store.get(testKey(name)) {
                case nil: try await store.create(name, value: value)
                case .some(let object) where step % 3 == 0: try await store.delete(object)
                case .some(let object): try await store.replace(object, value: value)
                }
                history.append(
                    Acknowledged(
                        logBytes: try #require(Files.size(of: "\(path)-wal")), revision: store.revision,
                        names: store.list(testCollection, namespace: nil).objects.map(\.key.name)))
            }
            let main = try Files.read(path, upTo: 1 << 24)
            let log = try Files.read("\(path)-wal", upTo: 1 << 24)
            var cuts = (0..<20).map { _ in Int.random(in: 0...log.count, using: &random) }
            cuts += [0, log.count] + history.suffix(10).flatMap { [$0.logBytes - 1, $0.logBytes, $0.logBytes + 1] }
            for cut in cuts where (0...log.count).contains(cut) {
                try await expect(main, Array(log[..<cut]), in: "\(directory)/cut\(cut)", history, cut)
            }
            await store.close()
        }
    }

    private func expect(
        _ main: [UInt8], _ log: [UInt8], in directory: String, _ history: [Acknowledged], _ cut: Int
    ) async throws {
        try Files.remove(directory)
        try Files.createDirectories(directory, mode: 0o700)
        let path = ObjectStore.path(in: directory)
        try AtomicFile.write(main, to: path, mode: 0o600, flushesDirectory: false)
        try AtomicFile.write(log, to: "\(path)-wal", mode: 0o600, flushesDirectory: false)
        // A process that dies before the first commit may leave a file without a layout; ours had one.
        let store = try ObjectStore(StoreConfig(directory: directory))
        let known = try #require(history.last { $0.logBytes <= cut })
        #expect(store.revision >= known.revision, "cut at \(cut)")
        let state = history.first { $0.revision == store.revision }
        #expect(state?.names == store.list(testCollection, namespace: nil).objects.map(\.key.name), "cut at \(cut)")
        // And it goes on from there.
        let next = try await store.create("after")
        #expect(next.revision > known.revision)
        await store.close()
    }
}
