import KarsCore

/// Which pod has which address, in a file, so that a pod keeps its own when the cluster starts again.
///
/// Addresses go round: a free one is given out again as late as possible, so that who still talks to the old pod does not
/// reach another one unawares.
struct PodAddressBook: Sendable {
    enum Problem: Error, Equatable, CustomStringConvertible {
        case full(Int)
        case unreadable(String)

        var description: String {
            switch self {
            case .full(let count): "all \(count) pod addresses of this node are taken"
            case .unreadable(let path): "\(path) is no list of pod addresses"
            }
        }
    }

    private let path: String
    private let available: [IPv4Address]
    private(set) var addresses: [String: IPv4Address] = [:]
    private var last: IPv4Address?

    /// What the file does not know, or knows of another network, is free.
    init(path: String, available: some Collection<IPv4Address>) throws {
        self.path = path
        self.available = Array(available)
        guard let bytes = try Files.readIfPresent(path, upTo: 1 << 20) else { return }
        guard let json = try? JSON(parsing: bytes), let members = json["addresses"]?.objectValue else {
            throw Problem.unreadable(path)
        }
        let usable = Set(self.available)
        for member in members {
            guard let text = member.value.stringValue, case .v4(let address)? = IPAddress(text) else {
                throw Problem.unreadable(path)
            }
            if usable.contains(address), !addresses.values.contains(address) { addresses[member.key] = address }
        }
        if case .v4(let address)? = json["last"]?.stringValue.flatMap({ IPAddress($0) }) { last = address }
    }

    /// The pod's address, the one it has or the next that is free.
    mutating func allot(to pod: String) throws -> IPv4Address {
        if let address = addresses[pod] { return address }
        let taken = Set(addresses.values)
        let start = last.flatMap { last in available.firstIndex { $0 > last } } ?? 0
        guard let free = (available[start...] + available[..<start]).first(where: { !taken.contains($0) }) else {
            throw Problem.full(available.count)
        }
        addresses[pod] = free
        last = free
        try save()
        return free
    }

    mutating func release(_ pod: String) throws {
        guard addresses.removeValue(forKey: pod) != nil else { return }
        try save()
    }

    private func save() throws {
        var object: JSONObject = [:]
        for (pod, address) in addresses.sorted(by: { $0.key < $1.key }) { object[pod] = .string("\(address)") }
        let json: JSON = ["addresses": .object(object), "last": last.map { .string("\($0)") } ?? .null]
        try AtomicFile.write(json.encoded(pretty: true) + [UInt8(ascii: "\n")], to: path, mode: 0o600)
    }
}
