/// Header fields while they are being read: offsets into the connection's buffer, checked byte by byte (RFC 9112 §5).
struct HTTP1FieldReader {
    var maxBytes: Int
    var maxFields: Int
    private(set) var fields: [HTTPHeaders.Field] = []

    init(maxBytes: Int, maxFields: Int) {
        self.maxBytes = maxBytes
        self.maxFields = maxFields
    }

    /// Reads one line, `start..<end` without its line ending.
    mutating func read(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) throws(HTTP1ParseError) {
        if bytes[start].isBlank { throw .foldedLine }
        guard fields.count < maxFields else { throw .tooManyFields(limit: maxFields) }
        var colon = start
        while colon < end, bytes[colon].isTokenCharacter { colon += 1 }
        guard colon < end else { throw .missingColon }
        guard bytes[colon] == UInt8(ascii: ":") else {
            if bytes[colon].isBlank { throw .spaceBeforeColon }
            throw .invalidByte(bytes[colon], offset: colon)
        }
        guard colon > start else { throw .emptyFieldName }
        guard colon - start <= UInt16.max else { throw .headerTooLarge(limitBytes: maxBytes) }
        var valueStart = colon + 1
        var valueEnd = end
        while valueStart < valueEnd, bytes[valueStart].isBlank { valueStart += 1 }
        while valueEnd > valueStart, bytes[valueEnd - 1].isBlank { valueEnd -= 1 }
        let name = UnsafeBufferPointer(rebasing: bytes.bindMemory(to: UInt8.self)[start..<colon])
        fields.append(
            HTTPHeaders.Field(
                nameStart: UInt32(start), nameCount: UInt16(colon - start), known: HTTPKnownField(name),
                valueStart: UInt32(valueStart), valueCount: UInt32(valueEnd - valueStart)))
    }

    mutating func reserve(_ count: Int) { fields.reserveCapacity(count) }
}

/// Finds lines that end in CR LF and nothing else, remembering how far it looked, so that a head that comes byte by byte is
/// looked at once.
struct HTTP1LineScanner {
    /// Where the current line begins.
    private(set) var lineStart = 0
    private var scanned = 0

    /// The end of the current line, before its CR LF; nil while it is incomplete. Every byte of it has been checked: no
    /// control character but the tab is inside.
    mutating func line(in bytes: UnsafeRawBufferPointer) throws(HTTP1ParseError) -> Int? {
        var index = scanned
        while index < bytes.count {
            // Eight bytes at a time while all of them are ordinary.
            while index + 8 <= bytes.count {
                let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                if Self.hasControl(word) { break }
                index += 8
            }
            guard index < bytes.count else { break }
            let byte = bytes[index]
            if byte.isFieldValueCharacter {
                index += 1
                continue
            }
            if byte == 0x0d {
                guard index + 1 < bytes.count else { break }
                guard bytes[index + 1] == 0x0a else { throw .invalidByte(byte, offset: index) }
                scanned = index
                return index
            }
            if byte == 0x0a { throw .bareLineFeed(offset: index) }
            throw .invalidByte(byte, offset: index)
        }
        scanned = index
        return nil
    }

    /// Goes on after the CR LF of the line that was found.
    mutating func advance() {
        scanned += 2
        lineStart = scanned
    }

    /// Bytes of the line so far.
    var openLineBytes: Int { scanned - lineStart }
    var scannedBytes: Int { scanned }

    /// Whether any of eight bytes is below 0x20 or is 0x7f; a few ordinary bytes above 0x7f may also answer yes.
    @inline(__always)
    private static func hasControl(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        let below = (word &- ones &* 0x20) & ~word & highs
        let delete = word ^ (ones &* 0x7f)
        return below | ((delete &- ones) & ~delete & highs) != 0
    }
}
