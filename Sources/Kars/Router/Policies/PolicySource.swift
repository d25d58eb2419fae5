import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// One kind of policy and the mounted directory that its files come from (spec/router 3).
struct PolicySource: Equatable, Sendable {
    typealias Kind = RouterReport.Kind

    let kind: Kind
    let directory: String

    /// Larger files are refused unread; a policy of this size is a mistake.
    static let maxFileBytes = 4 << 20
    /// More files than this in one directory are a mistake too.
    static let maxFiles = 256

    /// Whether `name` is one of this kind's files. Hidden names are how a mounted ConfigMap keeps its versions.
    func accepts(_ name: String) -> Bool {
        guard !name.hasPrefix(".") else { return false }
        return switch kind {
        case .profile: name.hasSuffix(".yaml") || name.hasSuffix(".yml")
        case .inference, .memory, .allowlist: name.hasSuffix(".json")
        case .approvals: name.hasPrefix("approval-") && name.hasSuffix(".json")
        }
    }

    /// Inference policy, memory binding and allow list are one file each: the first by name.
    private var takesOnlyFirst: Bool {
        switch kind {
        case .profile, .approvals: false
        case .inference, .memory, .allowlist: true
        }
    }

    /// The files' names in order; empty when the directory is missing.
    private func names() throws(FileError) -> [String] {
        let names = try Files.entries(of: directory).filter(accepts).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        guard names.count <= Self.maxFiles else { throw FileError("read", directory, errno: E2BIG) }
        return takesOnlyFirst ? Array(names.prefix(1)) : names
    }

    /// Reads every file whole. Blocking.
    func read() throws(FileError) -> [PolicyFile] {
        var files: [PolicyFile] = []
        for name in try names() {
            let path = "\(directory)/\(name)"
            // A name that vanishes between listing and reading belongs to a version that is being replaced.
            guard let bytes = try Files.readIfPresent(path, upTo: Self.maxFileBytes) else { continue }
            files.append(PolicyFile(name: name, path: path, bytes: bytes))
        }
        return files
    }

    /// Something that differs whenever a file's content may differ: cheap enough to ask for five times a second.
    ///
    /// `stat` follows links, because a mounted ConfigMap swaps a link to a directory: every file then has another inode. The
    /// change time cannot be set back by a program, unlike the modification time.
    func signature() -> [FileSignature] {
        // A directory that cannot be listed looks like nothing else, so it is read, and reading tells why it fails.
        guard let names = try? names() else { return [FileSignature(name: "?")] }
        return names.map { FileSignature(name: $0, path: "\(directory)/\($0)") }
    }
}

/// A policy file as it was read.
struct PolicyFile: Equatable, Sendable {
    var name: String
    var path: String
    var bytes: [UInt8]
}

/// Identity, size and change time of one file.
struct FileSignature: Equatable, Sendable {
    var name: String
    private var device: UInt64 = 0
    private var inode: UInt64 = 0
    private var size: Int64 = -1
    private var changed: Int64 = 0

    init(name: String) { self.name = name }

    init(name: String, path: String) {
        self.name = name
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        #if canImport(Glibc)
        changed = Int64(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctim.tv_nsec)
        #else
        changed = Int64(status.st_ctimespec.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctimespec.tv_nsec)
        #endif
    }
}
