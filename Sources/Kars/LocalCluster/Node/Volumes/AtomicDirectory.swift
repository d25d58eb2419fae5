import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A directory whose files change all at once for whoever reads them (kubelet `AtomicWriter`): the files lie in a directory of their
/// own, `..data` leads there, and each name leads through `..data`. An update makes a new directory and turns `..data`.
struct AtomicDirectory {
    struct File: Equatable, Sendable {
        var bytes: [UInt8]
        var mode: UInt32
    }

    /// Numeric ids outside that the files belong to; nil leaves them to this process's user.
    struct Owner: Equatable, Sendable {
        var user: UInt32
        var group: UInt32
    }

    let path: String
    let owner: Owner?

    private static let data = "..data"

    /// Makes the directory hold exactly `files`, by relative path; whether anything changed. Blocking.
    @discardableResult
    func write(_ files: [String: File], at now: UTCTime) throws -> Bool {
        try Files.createDirectories(path, mode: 0o755)
        try give(path, mode: 0o755)
        let current = target()
        // What cannot be looked through, a file where a directory is to be, is written anew.
        if let current, (try? holds(files, in: current)) ?? false { return false }
        var name = "..\(now.rfc3339Nanoseconds.replacing(":", with: "_"))"
        while Files.exists("\(path)/\(name)") { name += "_" }
        for (file, content) in files.sorted(by: { $0.key < $1.key }) { try put(content, at: file, in: name) }
        if files.isEmpty { try makeDirectory(name, in: path) }
        let temporary = "\(path)/\(Self.data)_tmp"
        unlink(temporary)
        try Self.check(symlink(name, temporary), "symlink", temporary)
        try Self.check(rename(temporary, "\(path)/\(Self.data)"), "rename", temporary)
        try turnLinks(to: Set(files.keys.compactMap { $0.split(separator: "/").first.map(String.init) }))
        if let current { try Files.remove("\(path)/\(current)") }
        return true
    }

    /// Where `..data` leads.
    private func target() -> String? {
        var text = [CChar](repeating: 0, count: 4_096)
        let count = readlink("\(path)/\(Self.data)", &text, text.count - 1)
        guard count > 0 else { return nil }
        let name = String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return name.contains("/") ? nil : name
    }

    private func holds(_ files: [String: File], in name: String) throws -> Bool {
        var found: Set<String> = []
        func look(_ directory: String, _ prefix: String) throws -> Bool {
            for entry in try Files.entries(of: directory) {
                let relative = prefix + entry
                if let file = files[relative] {
                    guard try Files.read("\(directory)/\(entry)", upTo: 4 << 20) == file.bytes else { return false }
                    found.insert(relative)
                } else {
                    guard files.keys.contains(where: { $0.hasPrefix(relative + "/") }) else { return false }
                    guard try look("\(directory)/\(entry)", relative + "/") else { return false }
                }
            }
            return true
        }
        guard Files.exists("\(path)/\(name)") else { return false }
        return try look("\(path)/\(name)", "") && found.count == files.count
    }

    private func put(_ file: File, at relative: String, in name: String) throws {
        let parts = relative.split(separator: "/").map(String.init)
        var directory = path
        for part in [name] + parts.dropLast() {
            try makeDirectory(part, in: directory)
            directory += "/" + part
        }
        let target = "\(directory)/\(parts.last ?? "")"
        let descriptor = open(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        try Self.check(descriptor, "create", target)
        defer { close(descriptor) }
        var offset = 0
        while offset < file.bytes.count {
            let count = file.bytes.withUnsafeBytes { bytes in
                #if canImport(Glibc)
                Glibc.write(descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
                #else
                Musl.write(descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
                #endif
            }
            guard count > 0 else { throw FileError("write", target, errno: errno) }
            offset += count
        }
        // An ordinary user cannot give files away: its files are readable to every user of the containers that mount them.
        try give(target, mode: owner == nil ? file.mode | 0o444 : file.mode)
    }

    private func makeDirectory(_ name: String, in directory: String) throws {
        let path = "\(directory)/\(name)"
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw FileError("mkdir", path, errno: errno) }
        try give(path, mode: 0o755)
    }

    private func give(_ path: String, mode: UInt32) throws {
        if let owner { try Self.check(lchown(path, owner.user, owner.group), "chown", path) }
        try Self.check(chmod(path, mode_t(mode)), "chmod", path)
    }

    /// Each first part of a path is a link through `..data`, and nothing else is.
    private func turnLinks(to names: Set<String>) throws {
        for entry in try Files.entries(of: path) where !entry.hasPrefix("..") && !names.contains(entry) {
            try Files.remove("\(path)/\(entry)")
        }
        for name in names.sorted() where symlink("\(Self.data)/\(name)", "\(path)/\(name)") != 0 {
            guard errno == EEXIST else { throw FileError("symlink", "\(path)/\(name)", errno: errno) }
        }
    }

    private static func check(_ result: Int32, _ operation: String, _ path: String) throws(FileError) {
        guard result >= 0 else { throw FileError(operation, path, errno: errno) }
    }
}
