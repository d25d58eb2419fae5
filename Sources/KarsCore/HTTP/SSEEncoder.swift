/// Writes an event stream (WHATWG HTML §9.2.5). Whatever is put in, it is read back as exactly one event.
package enum SSEEncoder {
    /// The bytes of one event. Line ends in `data` become several data lines and are read back as LF; in `name` and `id`, where they
    /// would start a field of their own, they are dropped, as is NUL.
    package static func event(
        data: some Collection<UInt8>, name: String? = nil, id: String? = nil, retryMilliseconds: Int? = nil
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(data.count + 16)
        if let name { append("event: ", name, to: &bytes) }
        if let id { append("id: ", id, to: &bytes) }
        if let retryMilliseconds { append("retry: ", String(retryMilliseconds), to: &bytes) }
        append(data: data, to: &bytes)
        return bytes
    }

    package static func event(
        data: String, name: String? = nil, id: String? = nil, retryMilliseconds: Int? = nil
    ) -> [UInt8] {
        event(data: Array(data.utf8), name: name, id: id, retryMilliseconds: retryMilliseconds)
    }

    /// One event with nothing but data, at the end of `bytes`: for streams that are built into one buffer.
    package static func append(data: some Collection<UInt8>, to bytes: inout [UInt8]) {
        bytes += prefix
        let body = bytes.count
        bytes += data
        bytes += end
        guard data.contains(where: { $0 == 10 || $0 == 13 }) else { return }
        // Rare: JSON has no line ends.
        bytes.removeSubrange(body...)
        var isAfterCR = false
        for byte in data {
            if byte == 13 || (byte == 10 && !isAfterCR) {
                bytes.append(10)
                bytes += prefix
            } else if byte != 10 {
                bytes.append(byte)
            }
            isAfterCR = byte == 13
        }
        bytes += end
    }

    /// Keeps a connection alive; no reader sees it.
    package static func comment(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        append(": ", text, to: &bytes)
        return bytes
    }

    private static let prefix = Array("data: ".utf8)
    private static let end: [UInt8] = [10, 10]

    private static func append(_ field: StaticString, _ text: String, to bytes: inout [UInt8]) {
        bytes += UnsafeBufferPointer(start: field.utf8Start, count: field.utf8CodeUnitCount)
        bytes += text.utf8.lazy.filter { $0 != 10 && $0 != 13 && $0 != 0 }
        bytes.append(10)
    }
}
