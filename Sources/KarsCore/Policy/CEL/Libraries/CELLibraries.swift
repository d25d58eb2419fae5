/// Every function that an expression can call: CEL's own and those of Kubernetes (Kubernetes CEL reference).
enum CELLibraries {
    /// By name; a function may have forms with and without a receiver.
    static let functions: [String: [CELOverload]] = {
        let all = [
            CELStandardLibrary.overloads, CELConversionLibrary.overloads, CELTimeLibrary.overloads, CELOptionalLibrary.overloads,
            CELListLibrary.overloads, CELSetLibrary.overloads, CELStringLibrary.overloads, CELFormatting.overloads,
            CELRegexLibrary.overloads, CELURLLibrary.overloads, CELQuantityLibrary.overloads, CELAddressLibrary.overloads,
            CELFormatLibrary.overloads, CELSemverLibrary.overloads, CELAuthorizerLibrary.overloads,
        ]
        return Dictionary(grouping: all.joined(), by: \.name)
    }()
}

extension CELValue {
    func text() throws(CELEvaluationError) -> String {
        guard case .string(let text) = self else { throw .noSuchOverload }
        return text
    }

    func whole() throws(CELEvaluationError) -> Int64 {
        guard case .int(let number) = self else { throw .noSuchOverload }
        return number
    }

    func list() throws(CELEvaluationError) -> CELList {
        guard case .list(let list) = self else { throw .noSuchOverload }
        return list
    }
}
