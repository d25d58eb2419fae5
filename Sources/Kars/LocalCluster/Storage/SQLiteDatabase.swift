import CSQLite

/// One connection to a SQLite file, for one thread at a time. The only place that knows SQLite's C interface.
///
/// `@unchecked Sendable`: the owner calls it from one thread at a time, `ObjectStore` from its writer.
final class SQLiteDatabase: @unchecked Sendable {
    struct Failure: Error, CustomStringConvertible {
        /// Extended result code.
        let code: Int32
        let message: String

        /// The disk or `max_page_count` is exhausted; the transaction was undone.
        var isFull: Bool { code & 0xff == SQLITE_FULL }
        var isNotADatabase: Bool { [SQLITE_NOTADB, SQLITE_CORRUPT].contains(code & 0xff) }
        var description: String { "sqlite \(code): \(message)" }
    }

    private var handle: OpaquePointer?

    /// Creates the file unless `isReadOnly`.
    init(path: String, isReadOnly: Bool = false) throws(Failure) {
        let flags = (isReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX
        let code = sqlite3_open_v2(path, &handle, flags, nil)
        guard code == SQLITE_OK else {
            let failure = self.failure(code)
            sqlite3_close_v2(handle)
            handle = nil
            throw failure
        }
        sqlite3_extended_result_codes(handle, 1)
    }

    /// Statements hold their connection, so none is left here.
    deinit { sqlite3_close_v2(handle) }

    /// Runs one or more statements without values or rows.
    func run(_ sql: String) throws(Failure) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw failure(code) }
    }

    /// The first column of the first row, as a number.
    func integer(_ sql: String) throws(Failure) -> Int? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.integer(0) : nil
    }

    func prepare(_ sql: String) throws(Failure) -> SQLiteStatement {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else { throw failure(code) }
        return SQLiteStatement(statement, of: self)
    }

    /// Whether no transaction is open, for instance because SQLite undid one by itself.
    var isIdle: Bool { sqlite3_get_autocommit(handle) != 0 }

    fileprivate func failure(_ code: Int32) -> Failure {
        Failure(code: code, message: sqlite3_errmsg(handle).map { String(cString: $0) } ?? "unknown")
    }
}

/// A prepared statement. Belongs to its connection's thread.
final class SQLiteStatement {
    private let statement: OpaquePointer
    private let database: SQLiteDatabase

    fileprivate init(_ statement: OpaquePointer, of database: SQLiteDatabase) {
        self.statement = statement
        self.database = database
    }

    deinit { sqlite3_finalize(statement) }

    /// True for a row, false at the end.
    func step() throws(SQLiteDatabase.Failure) -> Bool {
        let code = sqlite3_step(statement)
        switch code {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default:
            let failure = database.failure(code)
            sqlite3_reset(statement)
            throw failure
        }
    }

    /// Runs a statement that gives no rows, and makes it ready for the next values.
    func run() throws(SQLiteDatabase.Failure) {
        _ = try step()
        sqlite3_reset(statement)
    }

    // Positions of parameters count from 1, of columns from 0. Binding fails on wrong positions only, which is our bug.

    func bind(_ position: Int32, _ value: Int) {
        let code = sqlite3_bind_int64(statement, position, Int64(value))
        precondition(code == SQLITE_OK, "no parameter \(position)")
    }

    func bind(_ position: Int32, _ value: String) throws(SQLiteDatabase.Failure) {
        var value = value
        let code = value.withUTF8 { text in
            sqlite3_bind_text64(
                statement, position, UnsafeRawPointer(text.baseAddress)?.assumingMemoryBound(to: CChar.self), UInt64(text.count),
                Self.copies, UInt8(SQLITE_UTF8))
        }
        guard code == SQLITE_OK else { throw database.failure(code) }
    }

    func bind(_ position: Int32, _ value: [UInt8]) throws(SQLiteDatabase.Failure) {
        let code = value.withUnsafeBytes {
            sqlite3_bind_blob64(statement, position, $0.baseAddress, UInt64($0.count), Self.copies)
        }
        guard code == SQLITE_OK else { throw database.failure(code) }
    }

    func integer(_ column: Int32) -> Int { Int(sqlite3_column_int64(statement, column)) }

    func text(_ column: Int32) -> String {
        sqlite3_column_text(statement, column).map { String(cString: $0) } ?? ""
    }

    func bytes(_ column: Int32) -> [UInt8] {
        guard let start = sqlite3_column_blob(statement, column) else { return [] }
        return Array(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column))))
    }

    /// `SQLITE_TRANSIENT`, a macro that Swift does not import: SQLite copies the value at once.
    private static let copies = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
}
