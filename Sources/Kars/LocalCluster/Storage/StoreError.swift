/// Why a change was not made. Nothing of it is visible or durable.
enum StoreError: Error, Sendable {
    /// The object is not as the change expects; `current` is what is there, nil for nothing.
    case conflict(key: StoreKey, current: StoredObject?)
    /// The disk, or the bound on the file, is full. Later changes may succeed.
    case full(String)
    /// The file could not be written; what SQLite says. After a failed flush every later change is refused as well.
    case unwritable(String)
    /// More changes wait than `StoreConfig.maxWaitingChanges`.
    case busy(limit: Int)
    case closed
}

/// Why a state directory could not be opened, saved or restored.
enum StoreOpenError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Another process serves this directory.
    case inUse(directory: String, processID: String)
    /// Written by another version of kars.
    case otherVersion(path: String, found: Int, expected: Int)
    /// Not a store of kars, or damaged.
    case notAStore(path: String, reason: String)
    /// A file operation failed; the text names it.
    case failed(String)
    /// `restore` never writes over a cluster.
    case notEmpty(path: String)

    var description: String {
        switch self {
        case .inUse(let directory, let processID):
            "\(directory) is in use by another local cluster (process \(processID)); stop it first"
        case .otherVersion(let path, let found, let expected):
            "\(path) has layout \(found), this kars reads layout \(expected): use the kars that wrote it, or start afresh"
        case .notAStore(let path, let reason): "\(path) is not a local cluster's state: \(reason)"
        case .failed(let text): text
        case .notEmpty(let path): "\(path) exists already; reset the local cluster before restoring"
        }
    }
}
