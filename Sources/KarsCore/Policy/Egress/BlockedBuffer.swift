/// The destinations that were refused lately, for the operator to see and perhaps approve (spec/router 16.7).
///
/// A fixed number of entries, oldest out first; repeats only count. New entries are limited per source and minute, so that
/// an agent that scans cannot push what matters out of the buffer. Address literals are kept like names: attempts on
/// addresses are the ones an operator wants to see most.
package struct BlockedBuffer: Sendable {
    package struct Config: Sendable {
        /// Entries kept.
        package var capacity = 1024
        /// New entries per source and `window`.
        package var newEntriesPerWindow = 100
        package var window = Duration.seconds(60)
        /// Sources whose rates are followed; more share one rate.
        package var maxSources = 64

        package init() {}
    }

    package struct Key: Hashable, Sendable {
        package var source: String
        package var host: Host
        package var port: UInt16

        package init(source: String, host: Host, port: UInt16) {
            self.source = source
            self.host = host
            self.port = port
        }
    }

    package struct Entry: Equatable, Sendable {
        package let key: Key
        /// The rule that refused it last.
        package var rule: String
        package var firstSeen: UTCTime
        package var lastSeen: UTCTime
        package var count: Int
    }

    private struct Window {
        var start: UTCTime
        var used = 0
    }

    private let config: Config
    /// A ring once it is full: `next` is the oldest entry.
    private var entries: [Entry] = []
    private var next = 0
    private var index: [Key: Int] = [:]
    private var windows: [String: Window] = [:]
    /// Attempts recorded since the start, repeats included.
    package private(set) var total = 0
    /// Attempts that found no room in their source's rate.
    package private(set) var dropped = 0

    package init(config: Config = Config()) { self.config = config }

    package mutating func record(_ key: Key, rule: String, now: UTCTime) {
        total += 1
        if let position = index[key] {
            entries[position].count += 1
            entries[position].lastSeen = max(now, entries[position].lastSeen)
            entries[position].rule = rule
            return
        }
        guard takeRate(of: key.source, now: now) else {
            dropped += 1
            return
        }
        let entry = Entry(key: key, rule: rule, firstSeen: now, lastSeen: now, count: 1)
        if entries.count < config.capacity {
            index[key] = entries.count
            entries.append(entry)
        } else if config.capacity > 0 {
            index[entries[next].key] = nil
            index[key] = next
            entries[next] = entry
            next = (next + 1) % config.capacity
        }
    }

    /// Forgets what `isSettled` selects, for instance a host that was just approved.
    package mutating func remove(where isSettled: (Key) -> Bool) {
        let ordered = Array(entries[next...] + entries[..<next])
        entries = ordered.filter { !isSettled($0.key) }
        next = 0
        index = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.key, $0) })
    }

    package var count: Int { entries.count }

    /// Entries seen at or after `since`, the most recently seen first.
    package func recent(since: UTCTime = UTCTime(seconds: .min), limit: Int = 256) -> [Entry] {
        let chosen = entries.filter { $0.lastSeen >= since }.sorted { ($0.lastSeen, $0.firstSeen) > ($1.lastSeen, $1.firstSeen) }
        return Array(chosen.prefix(max(0, limit)))
    }

    /// Hosts with the most attempts among entries seen at or after `since`; equal counts by name.
    package func top(_ limit: Int, since: UTCTime) -> [(host: Host, count: Int)] {
        var counts: [Host: Int] = [:]
        for entry in entries where entry.lastSeen >= since { counts[entry.key.host, default: 0] += entry.count }
        let sorted = counts.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key.description < $1.key.description }
        return sorted.prefix(max(0, limit)).map { ($0.key, $0.value) }
    }

    private mutating func takeRate(of source: String, now: UTCTime) -> Bool {
        let name = windows[source] != nil || windows.count < config.maxSources ? source : ""
        var window = windows[name] ?? Window(start: now)
        if now.duration(since: window.start) >= config.window || now < window.start { window = Window(start: now) }
        guard window.used < config.newEntriesPerWindow else {
            windows[name] = window
            return false
        }
        window.used += 1
        windows[name] = window
        return true
    }
}
