import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Backups of the cluster's state, each one file, made from a cluster that runs or not.
enum ClusterBackup {
    /// Makes `file`, which must not exist. It appears under its name complete or not at all.
    static func write(_ directory: ClusterDirectory, to file: String) async throws {
        guard Files.exists(directory.databasePath) else {
            throw ClusterError(.failed, "there is no cluster in \(directory.path)")
        }
        guard !Files.exists(file) else { throw ClusterError(.failed, "\(file) exists already") }
        let temporary = "\(file).\(getpid()).part"
        do {
            if let record = try directory.running() {
                try await fetch(from: record, directory, to: temporary)
            } else {
                let claim = try directory.claim()
                defer { withExtendedLifetime(claim) {} }
                let store = try ObjectStore(StoreConfig(directory: directory.statePath))
                try await store.backup(to: temporary)
                await store.close()
            }
            // Unlike a rename this never replaces a file that came meanwhile.
            guard link(temporary, file) == 0 else { throw FileError("create", file, errno: errno) }
            try Files.remove(temporary)
            try Files.synchronizeDirectory(of: file)
        } catch {
            try? Files.remove(temporary)
            throw error
        }
    }

    /// The serving process has the database for itself, so it is asked for a copy.
    static func fetch(from record: ClusterDirectory.Record, _ directory: ClusterDirectory, to file: String) async throws {
        let group = try EventLoopGroup()
        let identity = try ClusterIdentity(
            directory: directory.identityPath, serverAddresses: [.v4(try ClusterAddresses().apiServer)], now: .now())
        let client = KubernetesClient(try identity.administrator(at: record.url), group: group)
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileError("create", file, errno: errno) }
        defer { close(descriptor) }
        let stream = try await client.open(KubernetesRequest(.get, .path(BackupHandler.path)))
        while let part = try await stream.next() {
            try Files.write(part, to: descriptor, path: file)
        }
        guard fsync(descriptor) == 0 else { throw FileError("fsync", file, errno: errno) }
        await client.close()
    }

    /// Puts the state in `file` in place of what is there. Whatever happens, the directory holds the old state or the new one.
    static func restore(_ directory: ClusterDirectory, from file: String) throws {
        let claim = try directory.claim()
        defer { withExtendedLifetime(claim) {} }
        let arrival = directory.path + "/restoring"
        try Files.remove(arrival)
        try ObjectStore.restore(from: file, to: arrival)
        if Files.exists(directory.databasePath) {
            // Changes that stand only in its log must neither be lost if this fails now nor be taken for the new state's: the
            // log is written back and ends with the connection. A state that cannot be opened has nothing to save.
            _ = try? StoreFile(path: directory.databasePath, maxBytes: .max)
            for suffix in ["-wal", "-shm"] { try Files.remove(directory.databasePath + suffix) }
        }
        try Files.createDirectories(directory.statePath, mode: 0o700)
        try Files.rename(ObjectStore.path(in: arrival), to: directory.databasePath)
        try Files.synchronizeDirectory(of: directory.databasePath)
        try Files.remove(arrival)
    }
}
