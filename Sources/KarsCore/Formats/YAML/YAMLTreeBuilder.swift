/// Events to nodes: types, keys, aliases, merge keys and the bounds. Recursion is bounded by `limits.maxDepth`.
struct YAMLTreeBuilder: ~Copyable {
    private var reader: YAMLEventReader
    private let file: String
    private let limits: YAMLLimits

    /// What an anchor stands for, with what its repetition costs.
    private struct Anchored {
        let node: YAMLNode
        let nodes: Int
        let depth: Int
    }

    private var anchors: [String: Anchored] = [:]
    /// Anchors of the nodes being built: an alias to one of them would contain itself.
    private var open: Set<String> = []
    /// Values so far, aliases counted as what they stand for.
    private var nodes = 0
    /// Deepest container reached, likewise; reset where an anchored node begins.
    private var deepest = 0

    init(reader: consuming YAMLEventReader, file: String, limits: YAMLLimits) {
        self.reader = reader
        self.file = file
        self.limits = limits
    }

    mutating func documents() throws(YAMLError) -> [YAMLNode] {
        var documents: [YAMLNode] = []
        while true {
            let (event, position) = try reader.next()
            switch event {
            case .streamEnd: return documents
            case .documentStart:
                anchors = [:]
                let (first, place) = try reader.next()
                // Only the empty plain scalar is a document without content; `~` is a document that holds null.
                let isEmpty = if case .scalar(let scalar, nil) = first { scalar.isPlain && scalar.text.isEmpty } else { false }
                let root = try node(first, place, depth: 0)
                if !isEmpty { documents.append(root) }
            case .documentEnd: continue
            case .alias, .scalar, .sequenceStart, .sequenceEnd, .mappingStart, .mappingEnd:
                throw error(.syntax, position, "expected a document")
            }
        }
    }

    // MARK: Nodes

    private mutating func node(
        _ event: YAMLEventReader.Event, _ position: YAMLPosition, depth: Int
    ) throws(YAMLError) -> YAMLNode {
        switch event {
        case .alias(let anchor): return try resolve(anchor, position, depth: depth)
        case .scalar(let scalar, let anchor):
            return try anchored(anchor, depth) { builder throws(YAMLError) in
                try builder.count(1, position)
                let value = try builder.json(of: scalar, position)
                return YAMLNode(content: .scalar(value), position: position)
            }
        case .sequenceStart(let anchor):
            return try anchored(anchor, depth) { builder throws(YAMLError) in
                try builder.enter(depth + 1, position)
                return YAMLNode(content: .sequence(try builder.sequence(depth: depth + 1)), position: position)
            }
        case .mappingStart(let anchor):
            return try anchored(anchor, depth) { builder throws(YAMLError) in
                try builder.enter(depth + 1, position)
                return YAMLNode(content: .mapping(try builder.mapping(depth: depth + 1)), position: position)
            }
        case .streamEnd, .documentStart, .documentEnd, .sequenceEnd, .mappingEnd:
            throw error(.syntax, position, "expected a value")
        }
    }

    private mutating func sequence(depth: Int) throws(YAMLError) -> [YAMLNode] {
        var elements: [YAMLNode] = []
        while true {
            let (event, position) = try reader.next()
            if case .sequenceEnd = event { return elements }
            elements.append(try node(event, position, depth: depth))
        }
    }

    private mutating func mapping(depth: Int) throws(YAMLError) -> [YAMLMember] {
        var members: [YAMLMember] = []
        var names = JSONObject()
        var merge: (source: YAMLNode, position: YAMLPosition)?
        while true {
            let (event, position) = try reader.next()
            if case .mappingEnd = event { break }
            let isMerge = Self.isMergeKey(event)
            let name = try key(event, position)
            let (valueEvent, valuePosition) = try reader.next()
            let value = try node(valueEvent, valuePosition, depth: depth)
            if isMerge {
                guard merge == nil else { throw error(.duplicateKey, position, "expected '<<' once in a mapping") }
                merge = (value, valuePosition)
                continue
            }
            guard names.position(of: name) == nil else {
                throw error(.duplicateKey, position, "expected each key once, found \(Self.quoted(name)) again")
            }
            names.appendNew(name, .null)
            members.append(YAMLMember(key: name, position: position, value: value))
        }
        if let merge {
            for member in try merged(merge.source, merge.position) where names.position(of: member.key) == nil {
                names.appendNew(member.key, .null)
                members.append(member)
            }
        }
        return members
    }

    // MARK: Keys

    private static func isMergeKey(_ event: YAMLEventReader.Event) -> Bool {
        guard case .scalar(let scalar, _) = event, scalar.text == "<<" else { return false }
        return scalar.isPlain || scalar.tag == YAMLScalar.tagPrefix + "merge"
    }

    private mutating func key(_ event: YAMLEventReader.Event, _ position: YAMLPosition) throws(YAMLError) -> String {
        switch event {
        case .scalar(let scalar, let anchor):
            do throws(YAMLScalar.Refusal) {
                let value = try YAMLScalar.resolve(scalar)
                let name = try value.key()
                if let anchor {
                    let node = YAMLNode(content: .scalar(try value.json()), position: position)
                    anchors[anchor] = Anchored(node: node, nodes: 1, depth: 0)
                }
                return name
            } catch {
                throw self.error(.invalidKey, position, error.reason)
            }
        case .alias(let anchor):
            guard case .scalar(.string(let name))? = anchors[anchor]?.node.content else {
                throw error(.invalidKey, position, "expected a key, found an alias to something else than a string")
            }
            return name
        case .streamEnd, .documentStart, .documentEnd, .sequenceStart, .sequenceEnd, .mappingStart, .mappingEnd:
            throw error(.invalidKey, position, "expected a key, found a list or a mapping")
        }
    }

    /// The members that `<<` adds: of one mapping, or of several, the earlier ones first in rank.
    private func merged(_ source: YAMLNode, _ position: YAMLPosition) throws(YAMLError) -> [YAMLMember] {
        let sources =
            switch source.content {
            case .mapping: [source]
            case .sequence(let elements): elements
            case .scalar: [YAMLNode]()
            }
        guard !sources.isEmpty, sources.allSatisfy({ $0.members != nil }) else {
            throw error(.invalidMerge, position, "expected a mapping or a list of mappings to merge")
        }
        return sources.flatMap { $0.members ?? [] }
    }

    // MARK: Anchors

    private mutating func anchored(
        _ anchor: String?, _ depth: Int, _ body: (inout YAMLTreeBuilder) throws(YAMLError) -> YAMLNode
    ) throws(YAMLError) -> YAMLNode {
        guard let anchor else { return try body(&self) }
        let nodesBefore = nodes
        let deepestBefore = deepest
        deepest = depth
        open.insert(anchor)
        let node = try body(&self)
        open.remove(anchor)
        anchors[anchor] = Anchored(node: node, nodes: nodes - nodesBefore, depth: deepest - depth)
        deepest = max(deepest, deepestBefore)
        return node
    }

    private mutating func resolve(_ anchor: String, _ position: YAMLPosition, depth: Int) throws(YAMLError) -> YAMLNode {
        guard !open.contains(anchor) else {
            throw error(.invalidAlias, position, "expected an alias to something else than what it stands in")
        }
        guard let target = anchors[anchor] else {
            throw error(.invalidAlias, position, "expected an anchor of this name before the alias")
        }
        try count(target.nodes, position)
        guard depth + target.depth <= limits.maxDepth else { throw tooDeep(position) }
        deepest = max(deepest, depth + target.depth)
        return target.node
    }

    // MARK: Bounds and errors

    private mutating func enter(_ depth: Int, _ position: YAMLPosition) throws(YAMLError) {
        try count(1, position)
        guard depth <= limits.maxDepth else { throw tooDeep(position) }
        deepest = max(deepest, depth)
    }

    private mutating func count(_ more: Int, _ position: YAMLPosition) throws(YAMLError) {
        nodes += more
        guard nodes <= limits.maxNodes else {
            throw error(
                .tooManyNodes, position, "expected at most \(limits.maxNodes) values, aliases counted as what they stand for")
        }
    }

    private func json(of scalar: YAMLEventReader.Scalar, _ position: YAMLPosition) throws(YAMLError) -> JSON {
        do throws(YAMLScalar.Refusal) { return try YAMLScalar.resolve(scalar).json() } catch {
            throw self.error(.invalidValue, position, error.reason)
        }
    }

    private func tooDeep(_ position: YAMLPosition) -> YAMLError {
        error(.tooDeep, position, "expected at most \(limits.maxDepth) nested lists and mappings")
    }

    private func error(_ code: YAMLError.Code, _ position: YAMLPosition, _ reason: String) -> YAMLError {
        YAMLError(code, file: file, at: position, reason: reason)
    }

    private static func quoted(_ name: String) -> String {
        JSON.string(String(String.UnicodeScalarView(name.unicodeScalars.prefix(64)))).description
    }
}
