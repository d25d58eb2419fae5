/// Chooses objects by their labels: `app=x,tier in (a,b),!old` in a query, `matchLabels` and `matchExpressions` in a spec.
package struct LabelSelector: Hashable, Sendable {
    package enum Operation: Hashable, Sendable {
        case `in`([String])
        /// An absent label matches too.
        case notIn([String])
        case exists
        case doesNotExist
        /// The value is an integer above or below this one.
        case greaterThan(Int)
        case lessThan(Int)
    }

    package struct Requirement: Hashable, Sendable {
        package var key: String
        package var operation: Operation
    }

    /// All of them must hold; none selects everything.
    package var requirements: [Requirement]

    package init(_ requirements: [Requirement] = []) { self.requirements = requirements }

    /// `app=x` for each label.
    package init(matching labels: [String: String]) {
        requirements = labels.sorted { $0.key < $1.key }.map { Requirement(key: $0.key, operation: .in([$0.value])) }
    }

    /// The text of a query, as the API server's parser reads it.
    package init(parsing text: String) throws(SelectorError) {
        var parser = LabelSelectorParser(text)
        requirements = try parser.parse()
    }

    /// `metav1.LabelSelector`; an empty or absent one selects everything.
    package init(reading json: JSON) throws(SelectorError) {
        requirements = []
        for (key, value) in json["matchLabels"]?.objectValue ?? JSONObject() {
            guard let text = value.stringValue else { throw SelectorError("the value of label \"\(key)\" is no string") }
            requirements.append(try Requirement(key: key, "=", [text]))
        }
        for expression in json["matchExpressions"]?.arrayValue ?? [] {
            let values = (expression["values"]?.arrayValue ?? []).compactMap(\.stringValue)
            let operation = expression["operator"]?.stringValue ?? ""
            let word =
                switch operation {
                case "In": "in"
                case "NotIn": "notin"
                case "Exists": "exists"
                case "DoesNotExist": "!"
                default: throw SelectorError("\"\(operation)\" is not a valid label selector operator")
                }
            requirements.append(try Requirement(key: expression["key"]?.stringValue ?? "", word, values))
        }
    }

    package func matches(_ labels: [String: String]) -> Bool {
        requirements.allSatisfy { requirement in
            let value = labels[requirement.key]
            return switch requirement.operation {
            case .in(let values): value.map(values.contains) ?? false
            case .notIn(let values): value.map { !values.contains($0) } ?? true
            case .exists: value != nil
            case .doesNotExist: value == nil
            case .greaterThan(let bound): value.flatMap { Int($0) }.map { $0 > bound } ?? false
            case .lessThan(let bound): value.flatMap { Int($0) }.map { $0 < bound } ?? false
            }
        }
    }
}

extension LabelSelector: CustomStringConvertible {
    /// As a query writes it; reads back as the same selector.
    package var description: String {
        requirements.map { requirement in
            let key = requirement.key
            return switch requirement.operation {
            case .in(let values) where values.count == 1: "\(key)=\(values[0])"
            case .notIn(let values) where values.count == 1: "\(key)!=\(values[0])"
            case .in(let values): "\(key) in (\(values.joined(separator: ",")))"
            case .notIn(let values): "\(key) notin (\(values.joined(separator: ",")))"
            case .exists: key
            case .doesNotExist: "!\(key)"
            case .greaterThan(let bound): "\(key)>\(bound)"
            case .lessThan(let bound): "\(key)<\(bound)"
            }
        }.joined(separator: ",")
    }
}

extension LabelSelector.Requirement {
    /// Checks key, values and their number for the operator as written (apimachinery `labels.NewRequirement`).
    init(key: String, _ word: String, _ values: [String]) throws(SelectorError) {
        if let why = LabelSyntax.faultOfKey(key) {
            throw SelectorError("key: Invalid value: \(quoted(key)): \(why)")
        }
        switch word {
        case "in", "notin":
            guard !values.isEmpty else {
                throw SelectorError("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
            }
        case "=", "==", "!=":
            guard values.count == 1 else {
                throw SelectorError(
                    "values: Invalid value: \(JSON.array(values.map(JSON.string))): exact-match compatibility requires one single value"
                )
            }
        case "exists", "!":
            guard values.isEmpty else {
                throw SelectorError(
                    "values: Invalid value: \(JSON.array(values.map(JSON.string))): values set must be empty for exists and does not exist"
                )
            }
        default:
            guard values.count == 1 else {
                throw SelectorError(
                    "values: Invalid value: \(JSON.array(values.map(JSON.string))): for 'Gt', 'Lt' operators, exactly one value is required"
                )
            }
        }
        for (index, value) in values.enumerated() {
            guard let why = LabelSyntax.faultOfValue(value) else { continue }
            throw SelectorError("values[\(index)][\(key)]: Invalid value: \(quoted(value)): \(why)")
        }
        self.key = key
        switch word {
        case "in", "=", "==": operation = .in(values)
        case "notin", "!=": operation = .notIn(values)
        case "exists": operation = .exists
        case "!": operation = .doesNotExist
        default:
            guard let bound = Int(values[0]) else {
                throw SelectorError(
                    "values[0]: Invalid value: \(quoted(values[0])): for 'Gt', 'Lt' operators, the value must be an integer")
            }
            operation = word == ">" ? .greaterThan(bound) : .lessThan(bound)
        }
    }
}

func quoted(_ text: String) -> String { JSON.string(text).description }
