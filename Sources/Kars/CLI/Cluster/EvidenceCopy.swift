import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The evidence of a sandbox in a cluster, copied from its router to this machine, so that it is verified here: with a key and a head
/// that this machine remembers, not with what the router says of itself.
struct EvidenceCopy: Sendable {
    let router: OperatorClient
    /// This machine's; emptied by `begin`.
    let directory: String

    /// A router that offers more is no router of ours.
    private static let maxFiles = 10_000

    /// Copies everything anew: a copy from before must not hide what was changed since.
    func begin() async throws {
        do {
            try Files.createDirectories(directory, mode: 0o700)
            for name in try Files.entries(of: directory) { try Files.remove("\(directory)/\(name)") }
        } catch {
            throw CommandFailure(.failed, "cannot prepare \(directory): \(error)")
        }
        try await goOn()
    }

    /// Brings the copy up to date: what is written only at its end is continued, what is replaced is fetched again.
    func goOn() async throws {
        let files = try await router.get("/audit/files")["files"]?.arrayValue ?? []
        guard files.count <= Self.maxFiles else {
            throw CommandFailure(.failed, "the router offers \(files.count) evidence files")
        }
        for file in files {
            // A name becomes part of a path.
            guard let name = file["name"]?.stringValue, let size = file["size"]?.intValue, Self.isPlain(name) else {
                throw CommandFailure(.failed, "the router offers an evidence file without a proper name")
            }
            let grows = name.hasSuffix(".jsonl") || name.hasSuffix(".heads")
            try await fetch(name, size: size, from: grows ? Files.size(of: "\(directory)/\(name)") ?? 0 : 0)
        }
    }

    /// Up to the end of the last whole line of what there was when the files were listed.
    private func fetch(_ name: String, size: Int, from start: Int) async throws {
        var bytes: [UInt8] = []
        while start + bytes.count < size {
            let answer = try await router.get("/audit/files/\(name)?offset=\(start + bytes.count)")
            guard let part = answer["data"]?.stringValue.flatMap({ Base64.decode($0) }) else {
                throw CommandFailure(.failed, "the router's answer about \(name) holds no data")
            }
            if part.isEmpty { break }
            bytes += part
        }
        if name.hasSuffix(".jsonl") || name.hasSuffix(".heads") {
            bytes = Array(bytes[..<(bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0)])
        }
        do { try append(bytes, to: name, replaces: start == 0) } catch {
            throw CommandFailure(.failed, "cannot write the copy of \(name): \(error)")
        }
    }

    private func append(_ bytes: [UInt8], to name: String, replaces: Bool) throws(FileError) {
        let path = "\(directory)/\(name)"
        guard !replaces else { return try AtomicFile.write(bytes, to: path, mode: 0o600) }
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw FileError("write", path, errno: errno) }
            rest = rest.dropFirst(count)
        }
    }

    static func isPlain(_ name: String) -> Bool {
        !name.hasPrefix(".") && (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
            }
    }
}
