/// A rough count of prompt tokens from bytes alone: enough to reserve budget with, replaced by the provider's own count.
package enum PromptEstimate {
    /// English and JSON average about four bytes to a token.
    static let bytesPerToken = 4
    /// What one inlined image or file counts, however long its base64 is (between a small and a large picture).
    static let tokensPerInlineFile = 1_000

    package static func tokens(inMessages messages: ArraySlice<UInt8>, toolBytes: Int) -> Int {
        var bytes = messages.count
        var files = 0
        if messages.count > inlineFileSearchThreshold {
            let found = inlineFiles(in: messages)
            bytes -= found.bytes
            files = found.count
        }
        return (bytes + toolBytes + bytesPerToken - 1) / bytesPerToken + files * tokensPerInlineFile
    }

    /// Shorter messages cannot hold a picture worth discounting.
    private static let inlineFileSearchThreshold = 16 * 1024

    /// How many `;base64,` payloads the text holds, and the bytes of their runs.
    private static func inlineFiles(in messages: ArraySlice<UInt8>) -> (count: Int, bytes: Int) {
        messages.withUnsafeBufferPointer { text in
            var count = 0
            var bytes = 0
            var position = 0
            while position + marker.count <= text.count {
                guard text[position] == marker[0], matches(text, at: position) else {
                    position += 1
                    continue
                }
                position += marker.count
                let start = position
                while position < text.count, isBase64(text[position]) { position += 1 }
                count += 1
                bytes += position - start
            }
            return (count, bytes)
        }
    }

    private static let marker = Array(";base64,".utf8)

    private static func matches(_ text: UnsafeBufferPointer<UInt8>, at position: Int) -> Bool {
        for offset in 1..<marker.count where text[position + offset] != marker[offset] { return false }
        return true
    }

    private static func isBase64(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="),
            UInt8(ascii: "\\"):
            true
        default: false
        }
    }
}
