/// The URL library of Kubernetes.
enum CELURLLibrary {
    static let overloads: [CELOverload] = [
        .function("url", [.string], .opaque(.url), .unary(url)),
        .function("isURL", [.string], .bool, .unary(isURL)),
        accessor("getScheme") { $0.scheme },
        accessor("getHost") { $0.host },
        accessor("getHostname") { $0.hostname },
        accessor("getPort") { $0.port },
        accessor("getEscapedPath") { $0.escapedPath },
        .member("getQuery", [.opaque(.url)], .map(.string, .list(.string)), .unary(query)),
    ]

    private static func accessor(_ name: String, _ read: @escaping @Sendable (CELURL) -> String) -> CELOverload {
        .member(
            name, [.opaque(.url)], .string,
            .unary { (url, frame) throws(CELEvaluationError) in
                guard case .opaque(.url(let url)) = url else { throw .noSuchOverload }
                try frame.charge(1)
                return .string(read(url))
            })
    }

    static func url(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count)
        do throws(CELURL.Failure) {
            return .opaque(.url(try CELURL(parsing: text)))
        } catch {
            let shown = CELFormatting.quoted(text, limit: 1_000)
            throw .invalid("URL parse error during conversion from string: parse \(shown): \(error.reason)")
        }
    }

    static func isURL(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count)
        return .bool((try? CELURL(parsing: text)) != nil)
    }

    static func query(_ url: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        guard case .opaque(.url(let url)) = url else { throw .noSuchOverload }
        try frame.chargeText(url.query.utf8.count)
        let entries = url.queryItems.map { item in
            (key: CELValue.string(item.name), value: CELValue.list(CELList(item.values.map { .string($0) })))
        }
        return .map(CELMap(try CELEntries(entries)))
    }
}
