/// A list of operations on a document (RFC 6902): all of them apply, in order, or none.
package enum JSONPatch {
    /// Operations in one patch.
    package static let maxOperations = 10_000
    /// What `copy` and `move` may carry together, in bytes of JSON: repeated copies would double a document each time.
    package static let maxCopiedBytes = 3 << 20

    package static func apply(_ patch: JSON, to document: JSON) throws(PatchError) -> JSON {
        guard let operations = patch.arrayValue else { throw PatchError(.malformed, "a JSON patch is a list of operations") }
        guard operations.count <= maxOperations else {
            throw PatchError(
                .tooLarge, "The allowed maximum operations in a JSON patch is \(maxOperations), got \(operations.count)")
        }
        // Every operation is read before the first is applied: a malformed patch is malformed whatever the document.
        var run = JSONPatchRun(document: document)
        var read: [JSONPatchRun.Operation] = []
        read.reserveCapacity(operations.count)
        for (index, operation) in operations.enumerated() { read.append(try JSONPatchRun.Operation(operation, at: index)) }
        for (index, operation) in read.enumerated() { try run.apply(operation, at: index) }
        return run.document
    }
}

private struct JSONPatchRun {
    var document: JSON
    private var copiedBytes = 0

    init(document: JSON) { self.document = document }

    enum Operation {
        case add(JSONPointer, JSON)
        case remove(JSONPointer)
        case replace(JSONPointer, JSON)
        case move(from: JSONPointer, JSONPointer)
        case copy(from: JSONPointer, JSONPointer)
        case test(JSONPointer, JSON)

        init(_ json: JSON, at index: Int) throws(PatchError) {
            func pointer(_ name: String) throws(PatchError) -> JSONPointer {
                guard let text = json[name]?.stringValue, let pointer = JSONPointer(text) else {
                    throw PatchError(.malformed, "operation \(index) has no valid \(name)")
                }
                return pointer
            }
            func value() throws(PatchError) -> JSON {
                guard let value = json["value"] else { throw PatchError(.malformed, "operation \(index) has no value") }
                return value
            }
            let path = try pointer("path")
            switch json["op"]?.stringValue {
            case "add": self = .add(path, try value())
            case "remove": self = .remove(path)
            case "replace": self = .replace(path, try value())
            case "move": self = .move(from: try pointer("from"), path)
            case "copy": self = .copy(from: try pointer("from"), path)
            case "test": self = .test(path, try value())
            default: throw PatchError(.malformed, "operation \(index) is of no known kind")
            }
        }
    }

    mutating func apply(_ operation: Operation, at index: Int) throws(PatchError) {
        let missing = PatchError(.doesNotApply, "operation \(index): there is no such path")
        switch operation {
        case .add(let path, let value): try add(value, at: path, missing)
        case .remove(let path): try remove(path, missing)
        case .replace(let path, let value):
            try checkDepth(of: value, at: path)
            guard document.edit(path.steps[...], { $0 = value }) else { throw missing }
        case .move(let from, let path):
            guard !from.isProperPrefix(of: path) else {
                throw PatchError(.doesNotApply, "operation \(index) moves a value into itself")
            }
            guard let value = from.value(in: document) else { throw missing }
            guard from != path else { return }
            try charge(value)
            try remove(from, missing)
            try add(value, at: path, missing)
        case .copy(let from, let path):
            guard let value = from.value(in: document) else { throw missing }
            try charge(value)
            try add(value, at: path, missing)
        case .test(let path, let value):
            guard let found = path.value(in: document) else { throw missing }
            guard found == value else { throw PatchError(.doesNotApply, "operation \(index): testing value failed") }
        }
    }

    private mutating func add(_ value: JSON, at path: JSONPointer, _ missing: PatchError) throws(PatchError) {
        try checkDepth(of: value, at: path)
        guard let last = path.steps.last else {
            document = value
            return
        }
        var isAdded = false
        let isFound = document.edit(path.steps.dropLast()) { parent in
            switch parent {
            case .object(var members):
                parent = .null
                members[last] = value
                parent = .object(members)
                isAdded = true
            case .array(var elements):
                guard let place = last == "-" ? elements.count : JSONPointer.index(last, below: elements.count + 1) else {
                    return
                }
                parent = .null
                elements.insert(value, at: place)
                parent = .array(elements)
                isAdded = true
            case .null, .bool, .number, .string: break
            }
        }
        guard isFound, isAdded else { throw missing }
    }

    private mutating func remove(_ path: JSONPointer, _ missing: PatchError) throws(PatchError) {
        guard let last = path.steps.last else { throw PatchError(.doesNotApply, "the whole document cannot be removed") }
        var isRemoved = false
        let isFound = document.edit(path.steps.dropLast()) { parent in
            switch parent {
            case .object(var members):
                parent = .null
                isRemoved = members.removeValue(forKey: last) != nil
                parent = .object(members)
            case .array(var elements):
                guard let index = JSONPointer.index(last, below: elements.count) else { return }
                parent = .null
                elements.remove(at: index)
                parent = .array(elements)
                isRemoved = true
            case .null, .bool, .number, .string: break
            }
        }
        guard isFound, isRemoved else { throw missing }
    }

    private mutating func charge(_ value: JSON) throws(PatchError) {
        copiedBytes += value.encoded().count
        guard copiedBytes <= JSONPatch.maxCopiedBytes else {
            throw PatchError(.tooLarge, "copies of more than \(JSONPatch.maxCopiedBytes) bytes")
        }
    }

    /// No document becomes deeper than the parser would read: what walks documents recurses.
    private func checkDepth(of value: JSON, at path: JSONPointer) throws(PatchError) {
        let limit = JSONLimits.default.maxDepth
        guard path.steps.count + value.depth <= limit else {
            throw PatchError(.doesNotApply, "the document would become more than \(limit) levels deep")
        }
    }
}

extension JSON {
    /// Arrays and objects inside one another, 0 for a scalar.
    fileprivate var depth: Int {
        switch self {
        case .null, .bool, .number, .string: 0
        case .array(let elements): 1 + (elements.lazy.map(\.depth).max() ?? 0)
        case .object(let members): 1 + (members.members.lazy.map(\.value.depth).max() ?? 0)
        }
    }

    /// Changes the value that `steps` lead to, in place; false when there is none.
    fileprivate mutating func edit(_ steps: ArraySlice<String>, _ change: (inout JSON) -> Void) -> Bool {
        guard let step = steps.first else {
            change(&self)
            return true
        }
        switch self {
        case .object(var members):
            guard members[step] != nil else { return false }
            self = .null
            defer { self = .object(members) }
            return members[step, default: .null].edit(steps.dropFirst(), change)
        case .array(var elements):
            guard let index = JSONPointer.index(step, below: elements.count) else { return false }
            self = .null
            defer { self = .array(elements) }
            return elements[index].edit(steps.dropFirst(), change)
        case .null, .bool, .number, .string: return false
        }
    }
}
