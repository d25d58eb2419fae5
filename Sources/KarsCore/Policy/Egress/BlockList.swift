#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A set of blocked domains, half a million of them in about 15 MB, that answers for a name and all its parents in one pass.
///
/// The domains lie one after another in one byte array; an open-addressed table of 32-bit entries points into it. An entry
/// carries seven bits of the hash, so that a foreign slot is nearly always recognised without touching the domain, and a
/// matching one is compared byte by byte: there are no false positives. The hash runs over labels from the right, so every
/// parent's hash appears on the way to the full name's.
package struct BlockList: Sendable {
    /// Why a name is blocked.
    package enum Match: Equatable, Sendable {
        /// The entry that matched: the name or one of its parents.
        case listed(String)
        /// The top-level domain, without the dot.
        case highRiskTLD(String)
    }

    package struct Limits: Sendable {
        /// Domains taken; further ones are counted in `Parsed.overLimit`.
        package var maxDomains = 500_000
        /// Bytes of domain text taken, within the 25 bits that an entry has for a position.
        package var maxBytes = 20 << 20

        package init() {}
    }

    /// Top-level domains that are blocked whole (spec/router 16.1).
    package static let highRiskTLDs: Set<String> = ["tk", "ml", "ga", "cf", "gq", "top", "buzz", "surf", "rest", "onion"]

    /// Number of domains, top-level ones not counted.
    package var count: Int { entries - topLevels }
    private var entries = 0
    private var topLevels = 0
    /// Length byte, then the domain; a position in a slot is that of the length byte.
    private var text: [UInt8] = []
    /// 0 is empty; otherwise seven bits of hash and 25 bits of position + 1. The size is a power of two.
    private var slots: [UInt32]
    private let limits: Limits

    package init(highRiskTLDs: Set<String> = BlockList.highRiskTLDs, limits: Limits = Limits()) {
        self.limits = limits
        slots = [UInt32](repeating: 0, count: 64)
        for domain in highRiskTLDs.sorted() {
            // Lists cannot add names without a dot, so a dotless entry is one of these.
            guard let name = try? HostName(domain), insert(name) == .added else { continue }
            topLevels += 1
        }
    }

    /// Bytes held by the table and the text.
    package var memoryBytes: Int { text.capacity + slots.capacity * MemoryLayout<UInt32>.stride }

    // MARK: Look-up

    /// What blocks `name`, if anything: the longest entry that is it or a parent of it.
    package func match(_ name: HostName) -> Match? {
        var text = name.text
        return text.withUTF8 { bytes in
            guard let start = longestListed(bytes) else { return nil }
            let entry = String(decoding: bytes[start...], as: UTF8.self)
            return bytes[start...].contains(UInt8(ascii: ".")) ? .listed(entry) : .highRiskTLD(entry)
        }
    }

    /// Where in `name` the longest listed domain begins.
    private func longestListed(_ name: UnsafeBufferPointer<UInt8>) -> Int? {
        guard entries > 0, let start = name.baseAddress else { return nil }
        return withTable { table in
            var found: Int?
            var hash = DomainHash()
            var end = name.count
            while let label = DomainHash.lastLabel(of: start, end: end) {
                hash.add(start + label, count: end - label)
                if table.holds(start + label, count: name.count - label, hash: hash.value) { found = label }
                end = label - 1
            }
            return found
        }
    }

    private func withTable<Result>(_ body: (Table) -> Result) -> Result {
        text.withUnsafeBufferPointer { text in
            slots.withUnsafeBufferPointer { body(Table(text: text, slots: $0)) }
        }
    }

    /// The two arrays while a look-up borrows them.
    private struct Table {
        let text: UnsafeBufferPointer<UInt8>
        let slots: UnsafeBufferPointer<UInt32>

        @inline(__always)
        func holds(_ domain: UnsafePointer<UInt8>, count: Int, hash: UInt64) -> Bool {
            let mask = slots.count - 1
            var slot = Int(truncatingIfNeeded: hash) & mask
            let tag = BlockList.tag(hash)
            while case let entry = slots[slot], entry != 0 {
                if entry & ~BlockList.positionMask == tag {
                    let position = Int(entry & BlockList.positionMask) - 1
                    if Int(text[position]) == count, let stored = text.baseAddress,
                        memcmp(stored + position + 1, domain, count) == 0
                    {
                        return true
                    }
                }
                slot = (slot + 1) & mask
            }
            return false
        }
    }

    private static let positionMask: UInt32 = (1 << 25) - 1

    private static func tag(_ hash: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash >> 57) << 25 }

    // MARK: Building

    package enum Insertion: Equatable, Sendable { case added, present, overLimit }

    /// `domain` must be in the normal form of a `HostName`.
    private mutating func insert(_ domain: UnsafeBufferPointer<UInt8>) -> Insertion {
        guard let start = domain.baseAddress else { return .present }
        let hash = DomainHash.of(start, count: domain.count)
        if withTable({ $0.holds(start, count: domain.count, hash: hash) }) { return .present }
        guard count < limits.maxDomains, text.count + domain.count + 1 <= min(limits.maxBytes, Int(Self.positionMask) - 1) else {
            return .overLimit
        }
        if (entries + 1) * 4 > slots.count * 3 { grow() }
        let position = text.count
        text.append(UInt8(domain.count))
        text.append(contentsOf: domain)
        place(position, hash)
        entries += 1
        return .added
    }

    @discardableResult
    package mutating func insert(_ name: HostName) -> Insertion {
        var text = name.text
        return text.withUTF8 { insert($0) }
    }

    private mutating func place(_ position: Int, _ hash: UInt64) {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = Self.tag(hash) | UInt32(position + 1)
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        var position = 0
        while position < text.count {
            let count = Int(text[position])
            let hash = text.withUnsafeBufferPointer { text in
                text.baseAddress.map { DomainHash.of($0 + position + 1, count: count) }
            }
            if let hash { place(position, hash) }
            position += 1 + count
        }
    }

    // MARK: Reading lists

    /// What became of the lines of a list.
    package struct Parsed: Equatable, Sendable {
        package var added = 0
        package var duplicates = 0
        /// Lines that name no domain: bad characters, no dot, an address.
        package var invalid = 0
        package var overLimit = 0

        package init(added: Int = 0, duplicates: Int = 0, invalid: Int = 0, overLimit: Int = 0) {
            self.added = added
            self.duplicates = duplicates
            self.invalid = invalid
            self.overLimit = overLimit
        }
    }

    /// Adds the domains of a list: one per line, with or without `*.` before it, or a hosts file (`0.0.0.0 domain`); `#` and
    /// `!` begin comments (spec/router 16.5).
    package mutating func add(list bytes: [UInt8]) -> Parsed {
        var parsed = Parsed()
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            if let domain = Self.domain(bytes[start..<end]) {
                if domain.contains(UInt8(ascii: ".")), let name = try? HostName(utf8: domain),
                    name.text.utf8.contains(UInt8(ascii: "."))
                {
                    switch insert(name) {
                    case .added: parsed.added += 1
                    case .present: parsed.duplicates += 1
                    case .overLimit: parsed.overLimit += 1
                    }
                } else {
                    parsed.invalid += 1
                }
            }
            start = end + 1
        }
        compact()
        return parsed
    }

    /// Gives back the room that the text grew into by doubling.
    private mutating func compact() {
        guard text.capacity > text.count + text.count / 8 else { return }
        text = [UInt8](unsafeUninitializedCapacity: text.count) { buffer, initialized in
            initialized = buffer.initialize(fromContentsOf: text)
        }
    }

    /// The domain that a line names; nil for empty lines and comments.
    private static func domain(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let isSpace: (UInt8) -> Bool = { $0 == 32 || $0 == 9 || $0 == 13 }
        var rest = line.drop(while: isSpace)
        guard let first = rest.first, first != UInt8(ascii: "#"), first != UInt8(ascii: "!") else { return nil }
        var word = rest.prefix { !isSpace($0) }
        rest = rest.dropFirst(word.count).drop(while: isSpace)
        if let next = rest.first, next != UInt8(ascii: "#") {
            // A hosts file: the address comes first and is only ever this host or nowhere.
            guard word.elementsEqual("0.0.0.0".utf8) || word.elementsEqual("127.0.0.1".utf8) else { return line }
            word = rest.prefix { !isSpace($0) }
        }
        return word.starts(with: "*.".utf8) ? word.dropFirst(2) : word
    }
}

/// A hash over the labels of a name from the right, eight bytes at a time: multiply and fold the 128-bit product.
private struct DomainHash {
    private var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    var value: UInt64 { state ^ state >> 29 }

    @inline(__always)
    mutating func add(_ label: UnsafePointer<UInt8>, count: Int) {
        var position = 0
        while count - position >= 8 {
            fold(UnsafeRawPointer(label).loadUnaligned(fromByteOffset: position, as: UInt64.self))
            position += 8
        }
        var rest: UInt64 = 0x2e  // the dot: `a.b` is not `ab`
        while position < count {
            rest = rest << 8 | UInt64(label[position])
            position += 1
        }
        fold(rest)
    }

    @inline(__always)
    private mutating func fold(_ chunk: UInt64) {
        let product = (state ^ chunk).multipliedFullWidth(by: 0xd6e8_feb8_6659_fd93)
        state = product.high ^ product.low ^ 0xa076_1d64_78bd_642f
    }

    /// Where the label that ends before `end` begins; nil when none is left.
    @inline(__always)
    static func lastLabel(of name: UnsafePointer<UInt8>, end: Int) -> Int? {
        guard end > 0 else { return nil }
        var start = end
        while start > 0, name[start - 1] != UInt8(ascii: ".") { start -= 1 }
        return start
    }

    static func of(_ domain: UnsafePointer<UInt8>, count: Int) -> UInt64 {
        var hash = DomainHash()
        var end = count
        while let label = lastLabel(of: domain, end: end) {
            hash.add(domain + label, count: end - label)
            end = label - 1
        }
        return hash.value
    }
}
