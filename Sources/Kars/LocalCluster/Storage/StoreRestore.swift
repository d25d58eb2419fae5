import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

extension ObjectStore {
    /// Puts a backup in place of nothing: `directory` must hold no state and serve no cluster.
    ///
    /// The backup is checked as a whole before anything is written, and appears under its name complete or not at all.
    static func restore(from backup: String, to directory: String) throws(StoreOpenError) {
        guard Files.exists(backup) else { throw .failed("\(backup): no such file") }
        do throws(FileError) { try Files.createDirectories(directory, mode: 0o700) } catch { throw .failed("\(error)") }
        let lock = try StoreLock(directory: directory)
        defer { withExtendedLifetime(lock) {} }
        let target = path(in: directory)
        guard !Files.exists(target) else { throw .notEmpty(path: target) }
        let temporary = "\(target).restoring"
        do throws(FileError) { try Files.remove(temporary) } catch { throw .failed("\(error)") }
        do throws(SQLiteDatabase.Failure) {
            try copy(backup, to: temporary)
        } catch {
            throw StoreFile.translated(error, backup)
        }
        // What is restored must also load.
        _ = try StoreFile(path: temporary, maxBytes: .max).load()
        do throws(FileError) {
            for suffix in ["-wal", "-shm"] { try Files.remove(temporary + suffix) }
        } catch {
            throw .failed("\(error)")
        }
        guard rename(temporary, target) == 0 else {
            throw .failed("rename \(temporary): \(String(cString: strerror(errno)))")
        }
        do throws(FileError) { try Files.synchronizeDirectory(of: target) } catch { throw .failed("\(error)") }
    }

    private static func copy(_ backup: String, to path: String) throws(SQLiteDatabase.Failure) {
        let source = try SQLiteDatabase(path: backup, isReadOnly: true)
        let statement = try source.prepare("VACUUM INTO ?1")
        try statement.bind(1, path)
        try statement.run()
    }
}
