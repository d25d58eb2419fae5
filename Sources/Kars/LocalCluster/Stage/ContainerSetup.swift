import KarsCore

/// Everything the stage process of one container needs, worked out beforehand: it decides nothing itself.
///
/// Travels as JSON through a memory file that only the stage inherits; environment and secret files are in it, so it is never
/// written to a disk and never part of a command line.
struct ContainerSetup: Equatable, Sendable {
    struct Mount: Equatable, Sendable {
        enum Kind: Equatable, Sendable {
            /// A directory or file of the machine. `owner`: inside, given to the directory before it is mounted.
            case bind(source: String, readOnly: Bool, owner: Int?)
            /// One file of the machine, over what is there.
            case file(source: String, readOnly: Bool)
            case memory(bytes: Int, owner: Int)
            case files([String: [UInt8]], mode: Int, owner: Int)
        }

        var path: String
        var kind: Kind

        /// Below /dev, which is mounted last.
        var isDevice: Bool { path.hasPrefix("/dev/") }
    }

    var name: String
    var hostname: String
    /// An unpacked root file system; nil for the files of the machine.
    var rootDirectory: String?
    /// Directories of the machine that must not be seen, wherever they lie.
    var hidden: [String] = []
    /// The running kars, offered inside as `/.kars/kars`.
    var executable: String
    var resolvers: String
    var mounts: [Mount] = []
    /// What to run, and nothing when the container is only there to be entered.
    var command: [String]
    var workingDirectory: String
    var environment: [String] = []
    var user: Int
    var group: Int
    var supplementalGroups: [Int] = []
    /// A bit per capability that stays.
    var capabilities: UInt64 = 0
    var readOnlyRoot = true
    var hasSystemCallFilter = true
    var processLimit = 4_096
    /// Numeric id outside that inside 0 stands for, when the stage acts as the machine's root; nil inside a user's namespace.
    var outsideBase: Int?

    /// `id` as the stage has to write it.
    func owner(_ id: Int) -> UInt32 { UInt32((outsideBase ?? 0) + id) }
}

extension ContainerSetup {
    var json: JSON {
        var object = JSONObject()
        object["name"] = .string(name)
        object["hostname"] = .string(hostname)
        object["rootDirectory"] = rootDirectory.map { .string($0) }
        object["hidden"] = .array(hidden.map { .string($0) })
        object["executable"] = .string(executable)
        object["resolvers"] = .string(resolvers)
        object["mounts"] = .array(mounts.map(Self.json))
        object["command"] = .array(command.map { .string($0) })
        object["workingDirectory"] = .string(workingDirectory)
        object["environment"] = .array(environment.map { .string($0) })
        object["user"] = .number(JSONNumber(user))
        object["group"] = .number(JSONNumber(group))
        object["supplementalGroups"] = .array(supplementalGroups.map { .int($0) })
        object["capabilities"] = .string(String(capabilities))
        object["readOnlyRoot"] = .bool(readOnlyRoot)
        object["hasSystemCallFilter"] = .bool(hasSystemCallFilter)
        object["processLimit"] = .number(JSONNumber(processLimit))
        object["outsideBase"] = outsideBase.map { .number(JSONNumber($0)) }
        return .object(object)
    }

    private static func json(_ mount: Mount) -> JSON {
        var object = JSONObject()
        object["path"] = .string(mount.path)
        switch mount.kind {
        case .bind(let source, let readOnly, let owner):
            object["source"] = .string(source)
            object["readOnly"] = .bool(readOnly)
            object["owner"] = owner.map { .number(JSONNumber($0)) }
        case .file(let source, let readOnly):
            object["file"] = .string(source)
            object["readOnly"] = .bool(readOnly)
        case .memory(let bytes, let owner):
            object["bytes"] = .number(JSONNumber(bytes))
            object["owner"] = .number(JSONNumber(owner))
        case .files(let files, let mode, let owner):
            object["files"] = .object(
                JSONObject(files.sorted { $0.key < $1.key }.map { ($0.key, .string(Base64.encode($0.value))) }))
            object["mode"] = .number(JSONNumber(mode))
            object["owner"] = .number(JSONNumber(owner))
        }
        return .object(object)
    }

    /// nil when the text was not written by `json`.
    init?(json: JSON) {
        func texts(_ key: String) -> [String] { (json[key]?.arrayValue ?? []).compactMap(\.stringValue) }
        guard let name = json["name"]?.stringValue, let hostname = json["hostname"]?.stringValue,
            let executable = json["executable"]?.stringValue, let resolvers = json["resolvers"]?.stringValue,
            let workingDirectory = json["workingDirectory"]?.stringValue, let user = json["user"]?.intValue,
            let group = json["group"]?.intValue, let capabilities = json["capabilities"]?.stringValue.flatMap({ UInt64($0) }),
            let readOnlyRoot = json["readOnlyRoot"]?.boolValue, let filter = json["hasSystemCallFilter"]?.boolValue,
            let processLimit = json["processLimit"]?.intValue, let mounts = json["mounts"]?.arrayValue
        else { return nil }
        self.name = name
        self.hostname = hostname
        rootDirectory = json["rootDirectory"]?.stringValue
        hidden = texts("hidden")
        self.executable = executable
        self.resolvers = resolvers
        command = texts("command")
        self.workingDirectory = workingDirectory
        environment = texts("environment")
        self.user = user
        self.group = group
        supplementalGroups = (json["supplementalGroups"]?.arrayValue ?? []).compactMap(\.intValue)
        self.capabilities = capabilities
        self.readOnlyRoot = readOnlyRoot
        hasSystemCallFilter = filter
        self.processLimit = processLimit
        outsideBase = json["outsideBase"]?.intValue
        for mount in mounts {
            guard let read = Self.mount(mount) else { return nil }
            self.mounts.append(read)
        }
    }

    private static func mount(_ json: JSON) -> Mount? {
        guard let path = json["path"]?.stringValue else { return nil }
        let owner = json["owner"]?.intValue
        if let source = json["source"]?.stringValue, let readOnly = json["readOnly"]?.boolValue {
            return Mount(path: path, kind: .bind(source: source, readOnly: readOnly, owner: owner))
        }
        if let source = json["file"]?.stringValue, let readOnly = json["readOnly"]?.boolValue {
            return Mount(path: path, kind: .file(source: source, readOnly: readOnly))
        }
        guard let owner else { return nil }
        if let bytes = json["bytes"]?.intValue { return Mount(path: path, kind: .memory(bytes: bytes, owner: owner)) }
        guard let members = json["files"]?.objectValue?.members, let mode = json["mode"]?.intValue else { return nil }
        var files: [String: [UInt8]] = [:]
        for (name, value) in members {
            guard let bytes = value.stringValue.flatMap({ Base64.decode($0) }) else { return nil }
            files[name] = bytes
        }
        return Mount(path: path, kind: .files(files, mode: mode, owner: owner))
    }
}

/// The capabilities that a container may be given back; the rest a pod cannot name.
enum Capability {
    static let bits: [String: UInt64] = [
        "CHOWN": 1 << 0, "DAC_OVERRIDE": 1 << 1, "FOWNER": 1 << 3, "KILL": 1 << 5, "SETGID": 1 << 6, "SETUID": 1 << 7,
        "NET_BIND_SERVICE": 1 << 10, "NET_ADMIN": 1 << 12, "NET_RAW": 1 << 13,
    ]
}
