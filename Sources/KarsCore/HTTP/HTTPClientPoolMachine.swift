/// The connections to one origin on one loop, and the requests that wait for one. Knows no sockets and no clock.
///
/// A connection is idle, or in use (being made included). Whoever got `.connect` or `.replace` owes an `ended` or a
/// `released`, as does whoever got a connection.
struct HTTPClientPoolMachine<Connection: AnyObject> {
    typealias Ticket = UInt64

    struct Limits: Sendable {
        var maxConnections: Int
        var maxIdle: Int
        var maxWaiting: Int
    }

    enum Acquired {
        case reuse(Connection)
        case connect
        /// Close this idle one and connect.
        case replace(Connection)
        case wait(Ticket)
        /// As many wait as may.
        case refuse
    }

    enum Released: Equatable {
        /// The first waiter gets it.
        case hand(Ticket)
        case keep
        case close
    }

    private let limits: Limits
    /// The least recently used first.
    private var idle: [Connection] = []
    private var inUse = 0
    private var waiting: [Ticket] = []
    private var lastTicket: Ticket = 0

    init(limits: Limits) { self.limits = limits }

    var isEmpty: Bool { idle.isEmpty && inUse == 0 && waiting.isEmpty }
    var idleCount: Int { idle.count }
    var openCount: Int { idle.count + inUse }
    var waitingCount: Int { waiting.count }

    /// A connection for a request; with `fresh` one that had no request yet.
    mutating func acquire(fresh: Bool) -> Acquired {
        if !fresh, let connection = idle.popLast() {
            // The most recently used: the others grow old and expire together.
            inUse += 1
            return .reuse(connection)
        }
        if openCount < limits.maxConnections {
            inUse += 1
            return .connect
        }
        if !idle.isEmpty {
            inUse += 1
            return .replace(idle.removeFirst())
        }
        guard waiting.count < limits.maxWaiting else { return .refuse }
        lastTicket += 1
        waiting.append(lastTicket)
        return .wait(lastTicket)
    }

    /// A connection in use is free again. `mayKeep` is false when other bounds are reached.
    mutating func released(_ connection: Connection, mayKeep: Bool) -> Released {
        if !waiting.isEmpty { return .hand(waiting.removeFirst()) }
        inUse -= 1
        guard mayKeep, idle.count < limits.maxIdle else { return .close }
        idle.append(connection)
        return .keep
    }

    /// A connection in use, or an attempt to make one, is over. The waiter in the answer may connect in its place.
    mutating func ended() -> Ticket? {
        guard !waiting.isEmpty else {
            inUse -= 1
            return nil
        }
        return waiting.removeFirst()
    }

    /// An idle connection expired or was closed by its server; false when it is not idle here.
    mutating func idleEnded(_ connection: Connection) -> Bool {
        guard let index = idle.firstIndex(where: { $0 === connection }) else { return false }
        idle.remove(at: index)
        return true
    }

    /// A waiter gave up; false when it was served already.
    mutating func gaveUp(_ ticket: Ticket) -> Bool {
        guard let index = waiting.firstIndex(of: ticket) else { return false }
        waiting.remove(at: index)
        return true
    }
}
