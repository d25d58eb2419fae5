/// What learn mode let through: host and port, with when and how often, up to a fixed number.
package struct LearnedHosts: Sendable {
    package struct Entry: Equatable, Sendable {
        package let name: HostName
        package let port: UInt16
        package var firstSeen: UTCTime
        package var lastSeen: UTCTime
        package var count: Int

        package init(name: HostName, port: UInt16, firstSeen: UTCTime, lastSeen: UTCTime, count: Int) {
            self.name = name
            self.port = port
            self.firstSeen = firstSeen
            self.lastSeen = lastSeen
            self.count = count
        }

        package var rule: EgressRule { EgressRule(.exact(.name(name)), port: port) }
    }

    private struct Key: Hashable {
        let name: HostName
        let port: UInt16
    }

    /// Entries kept; when they are used up, new hosts are counted in `dropped` and not kept.
    package let capacity: Int
    private var entries: [Key: Entry] = [:]
    package private(set) var dropped = 0

    package init(capacity: Int = 4096) { self.capacity = capacity }

    /// False when there was no room.
    @discardableResult
    package mutating func record(_ name: HostName, port: UInt16, now: UTCTime) -> Bool {
        let key = Key(name: name, port: port)
        if entries[key] != nil {
            entries[key]?.count += 1
            entries[key]?.lastSeen = now
            return true
        }
        guard entries.count < capacity else {
            dropped += 1
            return false
        }
        entries[key] = Entry(name: name, port: port, firstSeen: now, lastSeen: now, count: 1)
        return true
    }

    /// As it was read from a saved state.
    package mutating func restore(_ entry: Entry) {
        guard entries.count < capacity else { return }
        entries[Key(name: entry.name, port: entry.port)] = entry
    }

    package mutating func removeAll() {
        entries.removeAll()
        dropped = 0
    }

    package var count: Int { entries.count }

    /// Sorted by name, then port.
    package var sorted: [Entry] { entries.values.sorted { ($0.name, $0.port) < ($1.name, $1.port) } }
}
