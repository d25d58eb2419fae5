/// How one chain is written. Immutable after start.
package struct EvidenceConfig: Sendable {
    /// When a record counts as recorded.
    package enum Durability: String, CaseIterable, Sendable {
        /// `write` has returned: survives the end of the process, not of the machine.
        case written
        /// The disk has confirmed: survives a power cut. Costs a flush, shared by all who wait for one.
        case synced
    }

    /// The audit directory; made when missing. One writer at a time.
    package var directory: String
    /// The signing key, mode 0600; made when missing. Beside the directory, not in it, so that copying the evidence does not
    /// copy the power to forge it.
    package var keyFile: String
    /// In every record; a chain belongs to one sandbox for ever.
    package var sandbox: String
    /// What `record(_:)` waits for. Default: `written`, because a call should not wait for a disk by default.
    package var durability = Durability.written
    /// Longest time between a record and its flush, which moves the signed `head.json` on. Default 100 ms.
    package var syncInterval = Duration.milliseconds(100)
    /// Time between heads in the sidecar while records come. Default 2 s: enough to find a place, few enough to keep.
    package var headInterval = Duration.seconds(2)
    /// Records after which such a head is written before its time.
    package var headEvery = 2048
    /// Bytes after which a new log is begun; checked at each flush, so a log may grow somewhat beyond it.
    package var maxLogBytes = 64 * 1024 * 1024
    /// Records that may wait for a signed head before appending is refused: the disk does not keep up.
    package var maxUnsigned = 262_144
    /// Mode of logs and heads. Readable by all by default: on a laptop the router's user is not the person who verifies, and
    /// the directories above decide who gets here.
    package var fileMode: UInt32 = 0o644

    package init(directory: String, keyFile: String, sandbox: String) {
        self.directory = directory
        self.keyFile = keyFile
        self.sandbox = sandbox
    }
}

/// Proof that an event is in the chain.
package struct EvidenceReceipt: Equatable, Sendable {
    package let seq: UInt64
    let hashDigits: [UInt8]

    /// 64 hexadecimal digits.
    package var hash: String { String(decoding: hashDigits, as: UTF8.self) }
}

/// Where a chain stands, for readiness, the operator plane and metrics.
package struct EvidenceStatus: Equatable, Sendable {
    package enum Health: Equatable, Sendable {
        case healthy
        /// Records are being lost right now; tried again every second.
        case failing(EvidenceError)
        /// Nothing more is written until a restart.
        case stopped(EvidenceError)
    }

    package var health: Health
    /// Records in the chain.
    package var records: UInt64
    /// Hash of the last record; empty while there is none. With `records - 1` it is what `kars audit verify --expect-head` takes.
    package var headHash: String
    /// Records that a signed head covers.
    package var signedRecords: UInt64
    /// Appends refused since the start.
    package var lostAppends: UInt64
    package var publicKey: String

    package var isHealthy: Bool { health == .healthy }
    /// `SEQ:HASH`, or nil for an empty chain.
    package var head: String? { records == 0 ? nil : "\(records - 1):\(headHash)" }
}
