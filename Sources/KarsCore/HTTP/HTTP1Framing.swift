/// Where a message's body ends (RFC 9112 §6.3), read from its header fields without forgiveness.
enum HTTP1Framing {
    static func ofRequest(_ headers: HTTPHeaders, _ version: HTTPVersion) throws(HTTP1ParseError) -> HTTPBodyFraming {
        try announced(headers, version) ?? .none
    }

    /// `method` is that of the request.
    static func ofResponse(
        _ headers: HTTPHeaders, _ version: HTTPVersion, status: Int, to method: HTTPMethod
    ) throws(HTTP1ParseError) -> HTTPBodyFraming {
        let announced = try announced(headers, version)
        if method == .head || status == 204 || status == 304 || status / 100 == 1 { return .none }
        if method == .connect, status / 100 == 2 { return .none }
        return announced ?? .untilClose
    }

    private static func announced(_ headers: HTTPHeaders, _ version: HTTPVersion) throws(HTTP1ParseError) -> HTTPBodyFraming? {
        var length: Int?
        var codings = 0
        for field in headers.fields {
            switch field.known {
            case .contentLength:
                let value = try contentLength(headers.bytes[field.value])
                guard length == nil || length == value else { throw .differingContentLengths }
                length = value
            case .transferEncoding:
                guard version == .http11 else { throw .transferEncodingInHTTP10 }
                guard codings == 0, headers.bytes[field.value].equalsIgnoringCase("chunked".utf8) else {
                    throw .unsupportedTransferEncoding
                }
                codings += 1
            default: break
            }
        }
        if codings > 0 {
            guard length == nil else { throw .contentLengthWithTransferEncoding }
            return .chunked
        }
        return length.map { $0 == 0 ? .none : .length($0) }
    }

    /// Digits only, no sign, no list; at most 15 of them, which no body will ever need and no arithmetic overflows.
    private static func contentLength(_ text: ArraySlice<UInt8>) throws(HTTP1ParseError) -> Int {
        guard (1...15).contains(text.count) else { throw .invalidContentLength }
        var value = 0
        for digit in text {
            guard (48...57).contains(digit) else { throw .invalidContentLength }
            value = value * 10 + Int(digit - 48)
        }
        return value
    }
}

/// Which host a request is for: the target and the `Host` field must say the same (RFC 9112 §3.2).
enum HTTP1Target {
    static func check(
        _ target: String, _ method: HTTPMethod, _ version: HTTPVersion, _ headers: HTTPHeaders
    ) throws(HTTP1ParseError) {
        var host: ArraySlice<UInt8>?
        for field in headers.fields where field.known == .host {
            guard host == nil else { throw .duplicateHost }
            host = headers.bytes[field.value]
        }
        if host == nil, version == .http11 { throw .missingHost }

        if target.utf8.first == UInt8(ascii: "/"), method != .connect {
            if let host, !isPlainHost(host) { _ = try authority(host) }
            return
        }
        let named = try host.map { host throws(HTTP1ParseError) in try authority(host) }
        if method == .connect {
            guard let asked = try? HTTPURL.authority(Array(target.utf8)[...]), asked.port != nil else { throw .invalidTarget }
            guard let named else { return }
            guard named.host == asked.host, named.port == nil || named.port == asked.port else { throw .hostMismatch }
        } else if target == "*" {
            guard method == .options else { throw .invalidTarget }
        } else {
            guard let url = try? HTTPURL(parsing: target) else { throw .invalidTarget }
            guard let named else { return }
            let port = named.port ?? (url.scheme == .https ? 443 : 80)
            guard named.host == url.host, port == url.port else { throw .hostMismatch }
        }
    }

    /// The common case without an allocation: lower-case letters, digits, dots and hyphens with a letter at the end or the
    /// port after it. Anything else is parsed in full.
    private static func isPlainHost(_ host: ArraySlice<UInt8>) -> Bool {
        guard host.count <= 253, let first = host.first, (97...122).contains(first) else { return false }
        var previous = first
        var letters = true
        for byte in host {
            switch byte {
            case 97...122: letters = true
            case UInt8(ascii: "."), UInt8(ascii: "-"):
                if previous == UInt8(ascii: ".") || previous == UInt8(ascii: "-") { return false }
                letters = false
            default: return false
            }
            previous = byte
        }
        return letters && host.count <= 63
    }

    private static func authority(_ text: ArraySlice<UInt8>) throws(HTTP1ParseError) -> (host: String, port: UInt16?) {
        do throws(HTTPURL.ParseError) { return try HTTPURL.authority(text) } catch { throw .invalidHost }
    }
}
