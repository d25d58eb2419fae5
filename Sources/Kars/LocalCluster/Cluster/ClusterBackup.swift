import KarsCore

/// Backups of the cluster's state: one file, made beside a cluster that runs or not.
enum ClusterBackup {
    static func write(_ directory: ClusterDirectory, to file: String) async throws {
        guard Files.exists(directory.databasePath) else {
            throw ClusterError(.failed, "there is no cluster in \(directory.path)")
        }
        guard !Files.exists(file) else { throw ClusterError(.failed, "\(file) exists already") }
        // A reader of its own: SQLite lets it see one consistent state while the server goes on writing.
        try ObjectStore.copy(directory.databasePath, to: file)
    }

    /// The state that was there is kept beside the new one until that is complete, and then removed.
    static func restore(_ directory: ClusterDirectory, from file: String) throws {
        let aside = directory.databasePath + ".before-restore"
        let hadState = Files.exists(directory.databasePath)
        if hadState { try Files.rename(directory.databasePath, to: aside) }
        do {
            for suffix in ["-wal", "-shm"] { try Files.remove(directory.databasePath + suffix) }
            try ObjectStore.restore(from: file, to: directory.statePath)
        } catch {
            if hadState { try Files.rename(aside, to: directory.databasePath) }
            throw error
        }
        try Files.remove(aside)
    }
}
