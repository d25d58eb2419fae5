import KarsCore

/// The layout of the store's SQLite file, and the few statements that read and write it.
///
/// One row per object: its creation's revision as the row, so that a change finds it by number; everything else is found in
/// memory. The counter of revisions is kept apart: it must not fall back when the newest object is deleted.
struct StoreFile {
    /// "KARS", so that `file` and we recognise it.
    static let applicationID = 0x4b41_5253
    /// Raised with every change of the layout.
    static let layoutVersion = 1

    let path: String
    private let database: SQLiteDatabase
    private let insert: SQLiteStatement
    private let update: SQLiteStatement
    private let delete: SQLiteStatement
    private let setRevision: SQLiteStatement

    /// Opens the file, or makes a new one. `maxBytes` bounds it.
    init(path: String, maxBytes: Int) throws(StoreOpenError) {
        self.path = path
        do throws(SQLiteDatabase.Failure) {
            database = try SQLiteDatabase(path: path)
            // One process, one connection: no shared-memory file. FULL flushes the log at every commit, which is the promise.
            try database.run(
                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; "
                    + "PRAGMA journal_size_limit=16777216;")
            let pageBytes = try database.integer("PRAGMA page_size") ?? 4096
            // The upper bound is SQLite's own.
            let pages = min(4_294_967_294, max(16, maxBytes / pageBytes))
            try database.run("PRAGMA max_page_count=\(pages)")
        } catch {
            throw Self.translated(error, path)
        }
        try Self.checkOrCreate(database, path)
        do throws(SQLiteDatabase.Failure) {
            insert = try database.prepare(
                "INSERT INTO objects(id, collection, namespace, name, revision, body) VALUES(?1, ?2, ?3, ?4, ?5, ?6)")
            update = try database.prepare("UPDATE objects SET revision=?2, body=?3 WHERE id=?1")
            delete = try database.prepare("DELETE FROM objects WHERE id=?1")
            setRevision = try database.prepare("UPDATE counters SET value=?1 WHERE name='revision'")
        } catch {
            throw Self.translated(error, path)
        }
    }

    private static func checkOrCreate(_ database: SQLiteDatabase, _ path: String) throws(StoreOpenError) {
        do throws(SQLiteDatabase.Failure) {
            if try database.integer("SELECT count(*) FROM sqlite_schema") == 0 {
                try database.run(
                    """
                    BEGIN IMMEDIATE;
                    PRAGMA application_id=\(applicationID);
                    PRAGMA user_version=\(layoutVersion);
                    CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
                    INSERT INTO counters VALUES('revision', 1);
                    CREATE TABLE objects(
                        id INTEGER PRIMARY KEY, collection TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
                        revision INTEGER NOT NULL, body BLOB NOT NULL);
                    COMMIT;
                    """)
            }
        } catch {
            throw translated(error, path)
        }
        try check(database, path)
    }

    /// Refuses files of others and of other versions.
    static func check(_ database: SQLiteDatabase, _ path: String) throws(StoreOpenError) {
        let application: Int?
        let version: Int
        do throws(SQLiteDatabase.Failure) {
            application = try database.integer("PRAGMA application_id")
            version = try database.integer("PRAGMA user_version") ?? 0
        } catch {
            throw translated(error, path)
        }
        guard application == applicationID else {
            throw .notAStore(path: path, reason: "its file was written by another program")
        }
        guard version == layoutVersion else { throw .otherVersion(path: path, found: version, expected: layoutVersion) }
    }

    static func translated(_ failure: SQLiteDatabase.Failure, _ path: String) -> StoreOpenError {
        failure.isNotADatabase ? .notAStore(path: path, reason: failure.message) : .failed("\(path): \(failure)")
    }

    // MARK: Reading

    /// Everything, once at the start.
    func load() throws(StoreOpenError) -> (revision: Int, objects: [StoredObject]) {
        var objects: [StoredObject] = []
        var revision = 0
        var damage: String?
        do throws(SQLiteDatabase.Failure) {
            revision = try database.integer("SELECT value FROM counters WHERE name='revision'") ?? 0
            let rows = try database.prepare("SELECT id, collection, namespace, name, revision, body FROM objects")
            while damage == nil, try rows.step() {
                let body = rows.bytes(5)
                let name = rows.text(3)
                guard let collection = CollectionName(rows.text(1)),
                    case .object(let json)? = try? JSON(parsing: body, limits: JSONLimits(maxDepth: JSONLimits.deepest))
                else {
                    damage = "object \(rows.text(1)) \(name) cannot be read"
                    continue
                }
                objects.append(
                    StoredObject(
                        key: StoreKey(collection: collection, namespace: rows.text(2), name: name), id: rows.integer(0),
                        revision: rows.integer(4), json: json, encoded: body))
            }
        } catch {
            throw Self.translated(error, path)
        }
        if let newest = objects.map(\.revision).max(), newest > revision {
            damage = "an object is newer than the counter of revisions"
        }
        if let damage { throw .notAStore(path: path, reason: damage) }
        return (revision, objects)
    }

    // MARK: Writing

    /// Makes the events durable, all or none.
    func write(_ events: [StoreEvent], revision: Int) throws(SQLiteDatabase.Failure) {
        do throws(SQLiteDatabase.Failure) {
            try database.run("BEGIN IMMEDIATE")
            for event in events { try write(event) }
            setRevision.bind(1, revision)
            try setRevision.run()
            try database.run("COMMIT")
        } catch {
            // SQLite undoes a transaction by itself on some failures; undoing twice would be the only error here.
            if !database.isIdle { try? database.run("ROLLBACK") }
            throw error
        }
    }

    private func write(_ event: StoreEvent) throws(SQLiteDatabase.Failure) {
        let object = event.object
        switch event.kind {
        case .added:
            insert.bind(1, object.id)
            try insert.bind(2, object.key.collection.description)
            try insert.bind(3, object.key.namespace)
            try insert.bind(4, object.key.name)
            insert.bind(5, object.revision)
            try insert.bind(6, object.encoded)
            try insert.run()
        case .modified:
            update.bind(1, object.id)
            update.bind(2, object.revision)
            try update.bind(3, object.encoded)
            try update.run()
        case .deleted:
            delete.bind(1, object.id)
            try delete.run()
        }
    }

    /// A copy of the whole store, compact and consistent, in a new file.
    func copy(to path: String) throws(SQLiteDatabase.Failure) {
        let statement = try database.prepare("VACUUM INTO ?1")
        try statement.bind(1, path)
        try statement.run()
    }
}
