/// Several byte streams in one WebSocket connection, as exec, attach and port-forward use it: each binary message begins with the number
/// of its channel (`k8s.io/apimachinery/pkg/util/remotecommand`). The same on both sides.
package enum ChannelMessage: Sendable, Equatable {
    case data(channel: UInt8, [UInt8])
    /// Nothing more comes on this channel; version 5 only (KEP-4006).
    case end(channel: UInt8)

    package enum Version: String, Sendable, CaseIterable {
        case v5 = "v5.channel.k8s.io"
        case v4 = "v4.channel.k8s.io"
    }

    /// Channels of exec and attach.
    package static let stdin: UInt8 = 0
    package static let stdout: UInt8 = 1
    package static let stderr: UInt8 = 2
    /// One `Status` that tells how it ended.
    package static let error: UInt8 = 3
    package static let resize: UInt8 = 4
    private static let endMark: UInt8 = 255

    /// Nil for what is no message of this version.
    package init?(parsing bytes: [UInt8], _ version: Version) {
        guard let channel = bytes.first else { return nil }
        guard channel == Self.endMark, version == .v5 else {
            self = .data(channel: channel, Array(bytes.dropFirst()))
            return
        }
        guard bytes.count == 2 else { return nil }
        self = .end(channel: bytes[1])
    }

    package var bytes: [UInt8] {
        switch self {
        case .data(let channel, let bytes): [channel] + bytes
        case .end(let channel): [Self.endMark, channel]
        }
    }
}

/// How a process in a container ended, as the error channel tells it.
package enum RemoteExit: Sendable, Equatable {
    case code(Int)
    /// It could not be started, or nobody knows how it ended.
    case failed(APIStatus)

    package init(reading bytes: [UInt8]) {
        guard let json = try? JSON(parsing: bytes), json["kind"]?.stringValue == "Status" || json["status"] != nil else {
            self = .failed(.malformedAnswer("the error channel holds no Status"))
            return
        }
        if json["status"]?.stringValue == "Success" {
            self = .code(0)
            return
        }
        if json["reason"]?.stringValue == "NonZeroExitCode" {
            let cause = json["details"]?["causes"]?.arrayValue?.first { $0["reason"]?.stringValue == "ExitCode" }
            if let code = cause?["message"]?.stringValue.flatMap({ Int($0) }) {
                self = .code(code)
                return
            }
        }
        // The code of a status on this channel is optional.
        var status = APIStatus(reading: json) ?? APIStatus(code: 500, reason: .internalError, message: "")
        if status.message.isEmpty { status.message = json["message"]?.stringValue ?? "the command failed" }
        self = .failed(status)
    }

    /// For the error channel.
    package var json: JSON {
        switch self {
        case .code(0): return ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success"]
        case .code(let code):
            return [
                "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure", "reason": "NonZeroExitCode",
                "message": .string("command terminated with non-zero exit code: error executing command: exit code \(code)"),
                "details": ["causes": [["reason": "ExitCode", "message": .string(String(code))]]],
            ]
        case .failed(let status): return status.json
        }
    }
}
