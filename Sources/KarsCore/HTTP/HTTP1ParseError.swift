/// Why bytes are not an acceptable HTTP/1.1 message. The connection they came on cannot be used any further.
package enum HTTP1ParseError: Error, Equatable {
    /// A line feed without a carriage return before it.
    case bareLineFeed(offset: Int)
    case invalidByte(UInt8, offset: Int)
    case invalidRequestLine
    case requestLineTooLong(limitBytes: Int)
    case invalidMethod
    case invalidTarget
    case unsupportedVersion
    case invalidStatusLine
    case headerTooLarge(limitBytes: Int)
    case tooManyFields(limit: Int)
    case emptyFieldName
    case spaceBeforeColon
    /// A line that begins with a blank (RFC 9112 §5.2 obs-fold).
    case foldedLine
    case missingColon
    case missingHost
    case duplicateHost
    case invalidHost
    /// The request's target names another host than its `Host` field.
    case hostMismatch
    case invalidContentLength
    case differingContentLengths
    case contentLengthWithTransferEncoding
    case unsupportedTransferEncoding
    case transferEncodingInHTTP10
    case invalidChunkSize
    case chunkLineTooLong(limitBytes: Int)
    case missingChunkTerminator
    case trailerTooLarge(limitBytes: Int)
    case tooManyInterimResponses(limit: Int)
    /// `Expect` with anything but `100-continue`.
    case unsupportedExpectation
    /// The message ended before its announced end.
    case unexpectedEnd

    /// What a server answers before it closes the connection.
    package var status: Int {
        switch self {
        case .requestLineTooLong: 414
        case .headerTooLarge, .tooManyFields, .trailerTooLarge: 431
        case .unsupportedVersion: 505
        case .unsupportedExpectation: 417
        default: 400
        }
    }
}
