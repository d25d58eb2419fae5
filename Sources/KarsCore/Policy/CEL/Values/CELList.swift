/// A list: JSON as it came, or values that an expression made.
package struct CELList: Sendable {
    private enum Storage: Sendable {
        case json([JSON], element: CELType)
        case values([CELValue])
    }

    private let storage: Storage
    /// Only a list that a schema describes is anything but atomic.
    let kind: CELListKind

    package init(_ elements: [JSON], of type: CELType, kind: CELListKind = .atomic) {
        storage = .json(elements, element: type)
        self.kind = kind
    }

    package init(_ values: [CELValue], kind: CELListKind = .atomic) {
        storage = .values(values)
        self.kind = kind
    }

    package var count: Int {
        switch storage {
        case .json(let elements, _): elements.count
        case .values(let values): values.count
        }
    }

    /// The element at a position within `0..<count`.
    package func element(at index: Int) throws(CELEvaluationError) -> CELValue {
        switch storage {
        case .json(let elements, let type): try CELValue(elements[index], as: type)
        case .values(let values): values[index]
        }
    }

    /// All elements, each as a value.
    package func values() throws(CELEvaluationError) -> [CELValue] {
        switch storage {
        case .values(let values): return values
        case .json(let elements, let type):
            var values: [CELValue] = []
            values.reserveCapacity(elements.count)
            for element in elements { values.append(try CELValue(element, as: type)) }
            return values
        }
    }

    func contains(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> Bool {
        for index in 0..<count where try element(at: index).equals(value, &frame) { return true }
        return false
    }
}

// MARK: - Lists that a schema calls sets and maps

extension CELList {
    /// Element by element, or in any order for sets and maps (Kubernetes CEL reference, "Type system integration").
    func equals(_ other: CELList, _ frame: inout CELFrame) throws(CELEvaluationError) -> Bool {
        guard count == other.count else { return false }
        let kind = kind == .atomic ? other.kind : kind
        switch kind {
        case .atomic:
            for index in 0..<count where try !element(at: index).equals(try other.element(at: index), &frame) { return false }
            return true
        case .set:
            for value in try other.values() where try !contains(value, &frame) { return false }
            return true
        case .map(let keys):
            for value in try other.values() {
                guard let index = try index(ofKeysOf: value, keys, &frame), try element(at: index).equals(value, &frame) else {
                    return false
                }
            }
            return true
        }
    }

    /// `self + other`: of sets the union, of maps the members of `other` over those with the same keys.
    func appending(_ other: CELList, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELList {
        // More than the one unit of Kubernetes, whose lists share what they are made of: here the budget bounds the memory.
        try frame.charge(1 + count + other.count)
        var values = try values()
        switch kind {
        case .atomic: values += try other.values()
        case .set:
            for value in try other.values() where try !contains(value, &frame) { values.append(value) }
        case .map(let keys):
            for value in try other.values() {
                if let index = try index(ofKeysOf: value, keys, &frame) { values[index] = value } else { values.append(value) }
            }
        }
        return CELList(values, kind: kind)
    }

    private func index(
        ofKeysOf value: CELValue, _ keys: [String], _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> Int? {
        candidates: for index in 0..<count {
            let candidate = try element(at: index)
            for key in keys {
                try frame.charge(1)
                switch (try candidate.jsonMember(key), try value.jsonMember(key)) {
                case (let mine?, let theirs?): if try !mine.equals(theirs, &frame) { continue candidates }
                case (nil, nil): break
                case (nil, _), (_, nil): continue candidates
                }
            }
            return index
        }
        return nil
    }
}

extension CELValue {
    /// A member by its JSON name, of whatever has members.
    fileprivate func jsonMember(_ name: String) throws(CELEvaluationError) -> CELValue? {
        switch self {
        case .object(let object):
            guard let member = object.members[name] else { return nil }
            return try CELValue(member, as: object.type.typesByJSONName[name] ?? .dyn)
        case .map(let map): return try map.value(for: .string(name))
        default: return nil
        }
    }
}
