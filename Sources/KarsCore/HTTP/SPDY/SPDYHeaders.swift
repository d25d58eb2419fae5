/// Reads the compressed headers of one SPDY/3.1 connection (draft-mbelshe-httpbis-spdy-00 §2.6.10), in the order of their frames.
package struct SPDYHeaders: ~Copyable, Sendable {
    package enum Failure: Error, Equatable {
        case unreadable(ZlibInflater.Failure)
        case malformed
    }

    private var inflater = ZlibInflater(dictionary: dictionary, maxPieceBytes: 64 << 10)

    package init() {}

    /// Names in lower case, with their values. Pieces without headers give none.
    package mutating func read(_ piece: [UInt8]) throws(Failure) -> [(name: String, value: String)] {
        guard !piece.isEmpty else { return [] }
        let block: [UInt8]
        do throws(ZlibInflater.Failure) { block = try inflater.inflate(piece) } catch { throw .unreadable(error) }
        var rest = block[...]
        func number() throws(Failure) -> Int {
            guard rest.count >= 4 else { throw .malformed }
            defer { rest = rest.dropFirst(4) }
            return rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        }
        func text() throws(Failure) -> String {
            let count = try number()
            guard count <= rest.count else { throw .malformed }
            defer { rest = rest.dropFirst(count) }
            return String(decoding: rest.prefix(count), as: UTF8.self)
        }
        var headers: [(name: String, value: String)] = []
        let count = try number()
        guard count <= block.count / 8 else { throw .malformed }
        for _ in 0..<count { headers.append((try text(), try text())) }
        guard rest.isEmpty else { throw .malformed }
        return headers
    }

    /// Adler-32 of `dictionary`, by which a zlib stream names it.
    static let dictionaryChecksum: UInt32 = 0xe3c6_a7c2

    /// What both sides know beforehand: names with their lengths, then words (§2.6.10.1).
    static let dictionary: [UInt8] = {
        let names = [
            "options", "head", "post", "put", "delete", "trace", "accept", "accept-charset", "accept-encoding",
            "accept-language", "accept-ranges", "age", "allow", "authorization", "cache-control", "connection", "content-base",
            "content-encoding", "content-language", "content-length", "content-location", "content-md5", "content-range",
            "content-type", "date", "etag", "expect", "expires", "from", "host", "if-match", "if-modified-since",
            "if-none-match", "if-range", "if-unmodified-since", "last-modified", "location", "max-forwards", "pragma",
            "proxy-authenticate", "proxy-authorization", "range", "referer", "retry-after", "server", "te", "trailer",
            "transfer-encoding", "upgrade", "user-agent", "vary", "via", "warning", "www-authenticate", "method", "get",
            "status", "200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin",
        ]
        let words =
            "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
            + "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
            + "404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug "
            + "Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
            + "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
            + "charset=iso-8859-1,utf-,*,enq=0."
        return names.flatMap { [0, 0, 0, UInt8($0.utf8.count)] + Array($0.utf8) } + Array(words.utf8)
    }()
}
