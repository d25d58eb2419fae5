/// The extended string library of CEL. Positions count code points from zero.
///
/// Results are paid for before they are built, because `replace` and `join` can make a long text from short ones.
enum CELStringLibrary {
    static let overloads: [CELOverload] = [
        .member("charAt", [.string, .int], .string, .binary(charAt)),
        .member("indexOf", [.string, .string], .int, .general(indexOf)),
        .member("indexOf", [.string, .string, .int], .int, .general(indexOf)),
        .member("lastIndexOf", [.string, .string], .int, .general(lastIndexOf)),
        .member("lastIndexOf", [.string, .string, .int], .int, .general(lastIndexOf)),
        .member("lowerAscii", [.string], .string, .unary(lowerASCII)),
        .member("upperAscii", [.string], .string, .unary(upperASCII)),
        .member("replace", [.string, .string, .string], .string, .general(replace)),
        .member("replace", [.string, .string, .string, .int], .string, .general(replace)),
        .member("split", [.string, .string], .list(.string), .general(split)),
        .member("split", [.string, .string, .int], .list(.string), .general(split)),
        .member("substring", [.string, .int], .string, .general(substring)),
        .member("substring", [.string, .int, .int], .string, .general(substring)),
        .member("trim", [.string], .string, .unary(trim)),
        .member("reverse", [.string], .string, .unary(reverse)),
        .member("join", [.list(.string)], .string, .general(join)),
        .member("join", [.list(.string), .string], .string, .general(join)),
        .function("strings.quote", [.string], .string, .unary(quote)),
    ]

    // MARK: Positions

    static func charAt(_ text: CELValue, _ index: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        let index = try index.whole()
        try frame.chargeGlance(text.utf8.count)
        let scalars = text.unicodeScalars
        guard index >= 0, let count = Int(exactly: index),
            let position = scalars.index(scalars.startIndex, offsetBy: count, limitedBy: scalars.endIndex)
        else { throw .invalid("index out of range: \(index)") }
        return .string(position == scalars.endIndex ? "" : String(scalars[position]))
    }

    static func indexOf(_ arguments: [CELValue], _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try arguments[0].text()
        let part = try arguments[1].text()
        try chargeSearch(text, part, &frame)
        let start = arguments.count > 2 ? try offset(arguments[2], in: text) : 0
        return .int(text.utf8Offset(of: part, from: start).map { text.position(ofUTF8Offset: $0) } ?? -1)
    }

    static func lastIndexOf(_ arguments: [CELValue], _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try arguments[0].text()
        let part = try arguments[1].text()
        try chargeSearch(text, part, &frame)
        let end = arguments.count > 2 ? try offset(arguments[2], in: text) : text.utf8.count
        return .int(text.utf8LastOffset(of: part, upTo: end).map { text.position(ofUTF8Offset: $0) } ?? -1)
    }

    private static func chargeSearch(_ text: String, _ part: String, _ frame: inout CELFrame) throws(CELEvaluationError) {
        try frame.charge(max(1, (text.utf8.count + 9) / 10) * max(1, (part.utf8.count + 9) / 10))
    }

    /// The UTF-8 offset of a position, which may be the end.
    private static func offset(_ position: CELValue, in text: String) throws(CELEvaluationError) -> Int {
        let position = try position.whole()
        let scalars = text.unicodeScalars
        guard position >= 0, let count = Int(exactly: position),
            let index = scalars.index(scalars.startIndex, offsetBy: count, limitedBy: scalars.endIndex)
        else { throw .invalid("index out of range: \(position)") }
        return text.utf8.distance(from: text.utf8.startIndex, to: index)
    }

    static func substring(_ arguments: [CELValue], _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try arguments[0].text()
        try frame.chargeText(text.utf8.count)
        let start = try offset(arguments[1], in: text)
        let end = arguments.count > 2 ? try offset(arguments[2], in: text) : text.utf8.count
        guard start <= end else {
            throw .invalid("invalid substring range. start: \(arguments[1].shown), end: \(arguments[2].shown)")
        }
        let utf8 = text.utf8
        let range = utf8.index(utf8.startIndex, offsetBy: start)..<utf8.index(utf8.startIndex, offsetBy: end)
        return .string(String(text[range]))
    }

    // MARK: Whole texts

    static func lowerASCII(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try mapASCII(text, from: UInt8(ascii: "A")...UInt8(ascii: "Z"), by: 32, &frame)
    }

    static func upperASCII(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try mapASCII(text, from: UInt8(ascii: "a")...UInt8(ascii: "z"), by: -32, &frame)
    }

    private static func mapASCII(
        _ text: CELValue, from letters: ClosedRange<UInt8>, by distance: Int, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count)
        let bytes = text.utf8.map { letters.contains($0) ? UInt8(Int($0) + distance) : $0 }
        return .string(String(decoding: bytes, as: UTF8.self))
    }

    /// White space as Unicode has it.
    static func trim(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count)
        let kept = text.unicodeScalars.drop { $0.properties.isWhitespace }
        guard let last = kept.lastIndex(where: { !$0.properties.isWhitespace }) else { return .string("") }
        return .string(String(kept[...last]))
    }

    static func reverse(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count)
        var reversed = ""
        reversed.unicodeScalars.append(contentsOf: text.unicodeScalars.reversed())
        return .string(reversed)
    }

    static func quote(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count * 2)
        return .string(CELFormatting.quoted(text))
    }

    // MARK: Parts

    static func split(_ arguments: [CELValue], _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try arguments[0].text()
        let separator = try arguments[1].text()
        let limit = arguments.count > 2 ? try arguments[2].whole() : -1
        try frame.chargeText(text.utf8.count * 2)
        try chargeSearch(text, separator, &frame)
        if limit == 0 { return .list(CELList([])) }
        var parts: [CELValue] = []
        var start = 0
        while limit < 0 || parts.count < limit - 1 {
            guard let offset = text.nextSplit(by: separator, from: start) else { break }
            try frame.charge(1)
            parts.append(.string(text.utf8Slice(start..<offset)))
            start = offset + separator.utf8.count
        }
        // Splitting nothing by nothing gives nothing.
        if !(separator.isEmpty && text.isEmpty) { parts.append(.string(text.utf8Slice(start..<text.utf8.count))) }
        return .list(CELList(parts))
    }

    static func replace(_ arguments: [CELValue], _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try arguments[0].text()
        let old = try arguments[1].text()
        let new = try arguments[2].text()
        let limit = arguments.count > 3 ? try arguments[3].whole() : -1
        try frame.chargeText(text.utf8.count * 2)
        try chargeSearch(text, old, &frame)
        var result = ""
        var start = 0
        var count: Int64 = 0
        // An empty text stands before every code point and at the end.
        var search = 0
        while limit < 0 || count < limit, let offset = text.utf8Offset(of: old, from: search) {
            try frame.chargeText(new.utf8.count)
            result += text.utf8Slice(start..<offset) + new
            count += 1
            start = offset + old.utf8.count
            guard old.isEmpty else {
                search = start
                continue
            }
            guard offset < text.utf8.count else { break }
            search = offset + text.scalarLength(atUTF8Offset: offset)
        }
        return .string(result + text.utf8Slice(start..<text.utf8.count))
    }

    static func join(_ arguments: [CELValue], _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let list = try arguments[0].list()
        let separator = arguments.count > 1 ? try arguments[1].text() : ""
        try frame.charge(1)
        var result = ""
        for index in 0..<list.count {
            let part = try list.element(at: index).text()
            try frame.chargeText((part.utf8.count + separator.utf8.count) * 2)
            if index > 0 { result += separator }
            result += part
        }
        return .string(result)
    }
}

extension String {
    func utf8Slice(_ range: Range<Int>) -> String {
        let start = utf8.index(utf8.startIndex, offsetBy: range.lowerBound)
        return String(self[start..<utf8.index(start, offsetBy: range.count)])
    }

    /// How many code points stand before a UTF-8 offset.
    func position(ofUTF8Offset offset: Int) -> Int64 {
        Int64(unicodeScalars.distance(from: startIndex, to: utf8.index(startIndex, offsetBy: offset)))
    }

    /// How many bytes the code point that starts at an offset has.
    func scalarLength(atUTF8Offset offset: Int) -> Int {
        UTF8.width(unicodeScalars[utf8.index(startIndex, offsetBy: offset)])
    }

    /// Where to cut next; an empty separator cuts between code points.
    fileprivate func nextSplit(by separator: String, from start: Int) -> Int? {
        guard separator.isEmpty else { return utf8Offset(of: separator, from: start) }
        guard start < utf8.count else { return nil }
        let next = start + scalarLength(atUTF8Offset: start)
        return next < utf8.count ? next : nil
    }
}
