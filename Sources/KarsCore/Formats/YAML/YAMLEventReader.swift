internal import CYAML

/// libyaml's events as Swift values; the only place that touches libyaml.
struct YAMLEventReader: ~Copyable {
    enum Event {
        case streamEnd
        case documentStart
        case documentEnd
        case alias(anchor: String)
        case scalar(Scalar, anchor: String?)
        case sequenceStart(anchor: String?)
        case sequenceEnd
        case mappingStart(anchor: String?)
        case mappingEnd
    }

    struct Scalar {
        let text: String
        /// In full (`tag:yaml.org,2002:int`); nil when none was written.
        let tag: String?
        /// Neither quoted nor a block, and without a tag: its type follows from its text.
        let isPlain: Bool
    }

    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let text: UnsafeBufferPointer<UInt8>
    private let file: String

    /// `text` must stay in place as long as the reader is in use.
    init(_ text: UnsafeBufferPointer<UInt8>, file: String) throws(YAMLError) {
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        self.text = text
        self.file = file
        guard yaml_parser_initialize(parser) == 1 else {
            throw YAMLError(.syntax, file: file, at: .start, reason: "out of memory")
        }
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, text.baseAddress, text.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    /// The next event and where it begins. Not to be called after `streamEnd` or an error.
    mutating func next() throws(YAMLError) -> (Event, YAMLPosition) {
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(parser, &event) == 1 else { throw failure() }
            defer { yaml_event_delete(&event) }
            let position = Self.position(event.start_mark)
            switch event.type {
            case YAML_STREAM_END_EVENT: return (.streamEnd, position)
            case YAML_DOCUMENT_START_EVENT: return (.documentStart, position)
            case YAML_DOCUMENT_END_EVENT: return (.documentEnd, position)
            case YAML_ALIAS_EVENT: return (.alias(anchor: Self.string(event.data.alias.anchor) ?? ""), position)
            case YAML_SCALAR_EVENT:
                let data = event.data.scalar
                let scalar = Scalar(
                    text: String(decoding: UnsafeBufferPointer(start: data.value, count: data.length), as: UTF8.self),
                    tag: Self.string(data.tag), isPlain: data.plain_implicit != 0)
                return (.scalar(scalar, anchor: Self.string(data.anchor)), position)
            case YAML_SEQUENCE_START_EVENT:
                return (.sequenceStart(anchor: Self.string(event.data.sequence_start.anchor)), position)
            case YAML_SEQUENCE_END_EVENT: return (.sequenceEnd, position)
            case YAML_MAPPING_START_EVENT:
                return (.mappingStart(anchor: Self.string(event.data.mapping_start.anchor)), position)
            case YAML_MAPPING_END_EVENT: return (.mappingEnd, position)
            default: continue
            }
        }
    }

    private func failure() -> YAMLError {
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? "not YAML"
        let context = parser.pointee.context.map { " " + String(cString: $0) } ?? ""
        let isReader = parser.pointee.error == YAML_READER_ERROR
        return YAMLError(
            .syntax, file: file,
            at: isReader ? position(ofByte: parser.pointee.problem_offset) : Self.position(parser.pointee.problem_mark),
            reason: problem + context)
    }

    /// Unreadable bytes are reported by their offset only.
    private func position(ofByte offset: Int) -> YAMLPosition {
        let before = text.prefix(offset)
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        return YAMLPosition(line: line, column: before[lineStart...].count { $0 & 0xc0 != 0x80 } + 1)
    }

    private static func position(_ mark: yaml_mark_t) -> YAMLPosition {
        YAMLPosition(line: mark.line + 1, column: mark.column + 1)
    }

    private static func string(_ text: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        text.map { String(cString: $0) }
    }
}
