/// `matches` of CEL and the regex library of Kubernetes.
enum CELRegexLibrary {
    typealias PatternFunction =
        @Sendable (String, LinearRegex, [CELValue], inout CELFrame) throws(CELEvaluationError) -> CELValue

    static let overloads: [CELOverload] = [
        .member("matches", [.string, .string], .bool, .general(reading(matches))),
        .function("matches", [.string, .string], .bool, .general(reading(matches))),
        .member("find", [.string, .string], .string, .general(reading(find))),
        .member("findAll", [.string, .string], .list(.string), .general(reading(findAll))),
        .member("findAll", [.string, .string, .int], .list(.string), .general(reading(findAll))),
    ]

    /// What to do once the pattern is read, by the name of the function.
    static let patternFunctions: [String: PatternFunction] = ["matches": matches, "find": find, "findAll": findAll]

    /// A function of a text and a pattern that is known only now.
    private static func reading(
        _ function: @escaping PatternFunction
    ) -> @Sendable ([CELValue], inout CELFrame) throws(CELEvaluationError) -> CELValue {
        { (arguments, frame) throws(CELEvaluationError) in
            let text = try arguments[0].text()
            let pattern = try arguments[1].text()
            try frame.chargeText(pattern.utf8.count * 10)
            return try function(text, try regex(pattern), Array(arguments.dropFirst(2)), &frame)
        }
    }

    private static func regex(_ pattern: String) throws(CELEvaluationError) -> LinearRegex {
        do throws(RegexError) {
            return try LinearRegex(pattern)
        } catch {
            throw .invalid(error.description)
        }
    }

    static func matches(
        _ text: String, _ regex: LinearRegex, _ rest: [CELValue], _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        try charge(text.utf8.count, regex, &frame)
        return .bool(regex.matches(text))
    }

    /// The first match; empty when there is none.
    static func find(
        _ text: String, _ regex: LinearRegex, _ rest: [CELValue], _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        try charge(text.utf8.count, regex, &frame)
        return .string(regex.firstMatch(in: text) ?? "")
    }

    /// All matches, or so many of them.
    static func findAll(
        _ text: String, _ regex: LinearRegex, _ rest: [CELValue], _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        let limit = try rest.first?.whole() ?? -1
        let matches = try regex.allMatches(in: text, limit: limit < 0 ? .max : Int(limit)) {
            (byteCount) throws(CELEvaluationError) in
            try charge(byteCount, regex, &frame)
        }
        return .list(CELList(matches.map { .string($0) }))
    }

    /// For each ten bytes of text a quarter of a unit per instruction: Kubernetes' formula, with the size that the pattern has
    /// become in place of the length it was written with.
    private static func charge(
        _ byteCount: Int, _ regex: LinearRegex, _ frame: inout CELFrame
    ) throws(CELEvaluationError) {
        try frame.charge(((1 + byteCount + 9) / 10) * ((regex.size + 3) / 4))
    }
}
