/// A semantic version (semver.org 2.0.0). Build metadata does not count when versions are compared.
package struct CELSemanticVersion: Equatable, Sendable {
    enum Identifier: Equatable, Sendable {
        case number(UInt64)
        case text(String)
    }

    package let major: UInt64
    package let minor: UInt64
    package let patch: UInt64
    private let prerelease: [Identifier]

    struct Failure: Error { let reason: String }

    /// With `normalizing`, a leading `v`, leading zeros and missing minor and patch numbers are forgiven.
    init(parsing text: String, normalizing: Bool) throws(Failure) {
        let text = normalizing ? try Self.normalized(text) : text
        let withoutBuild = text.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
        let main = withoutBuild[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = main[0].split(separator: ".", omittingEmptySubsequences: false)
        guard numbers.count == 3 else { throw Failure(reason: "No Major.Minor.Patch elements found") }
        major = try Self.number(numbers[0], "major number")
        minor = try Self.number(numbers[1], "minor number")
        patch = try Self.number(numbers[2], "patch number")
        var identifiers: [Identifier] = []
        for part in main.count > 1 ? main[1].split(separator: ".", omittingEmptySubsequences: false) : [] {
            try Self.checkIdentifier(part, "Prerelease")
            let isNumber = part.utf8.allSatisfy { (48...57).contains($0) }
            identifiers.append(isNumber ? .number(try Self.number(part, "prerelease")) : .text(String(part)))
        }
        prerelease = identifiers
        for part in withoutBuild.count > 1 ? withoutBuild[1].split(separator: ".", omittingEmptySubsequences: false) : [] {
            try Self.checkIdentifier(part, "Build meta data")
        }
    }

    private static func normalized(_ text: String) throws(Failure) -> String {
        var parts = (text.hasPrefix("v") ? text.dropFirst() : text[...])
            .split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false).map { part in
                let kept = part.count > 1 ? part.drop { $0 == "0" } : part
                return part.count > 1 && kept.first.map { !("0"..."9").contains($0) } != false ? "0" + kept : String(kept)
            }
        if parts.count < 3 {
            guard !(parts.last ?? "").contains(where: { $0 == "+" || $0 == "-" }) else {
                throw Failure(reason: "short version cannot contain PreRelease/Build meta data")
            }
            while parts.count < 3 { parts.append("0") }
        }
        return parts.joined(separator: ".")
    }

    private static func number(_ text: Substring, _ what: String) throws(Failure) -> UInt64 {
        let shown = CELFormatting.quoted(String(text), limit: 100)
        guard text.utf8.allSatisfy({ (48...57).contains($0) }), let value = UInt64(text) else {
            throw Failure(reason: "Invalid character(s) found in \(what) \(shown)")
        }
        guard text.utf8.count == 1 || text.first != "0" else {
            throw Failure(reason: "\(what.prefix(1).uppercased())\(what.dropFirst()) must not contain leading zeroes \(shown)")
        }
        return value
    }

    private static func checkIdentifier(_ part: Substring, _ what: String) throws(Failure) {
        guard !part.isEmpty else { throw Failure(reason: "\(what) is empty") }
        let isValid = part.utf8.allSatisfy {
            (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45
        }
        guard isValid else {
            throw Failure(reason: "Invalid character(s) found in prerelease \(CELFormatting.quoted(String(part), limit: 100))")
        }
    }
}

extension CELSemanticVersion: Comparable {
    /// semver.org §11: a version with a prerelease comes before the one without; numbers come before texts.
    package static func < (left: Self, right: Self) -> Bool {
        let numbers = (left.major, left.minor, left.patch)
        let others = (right.major, right.minor, right.patch)
        if numbers != others { return numbers < others }
        if left.prerelease.isEmpty || right.prerelease.isEmpty { return !left.prerelease.isEmpty && right.prerelease.isEmpty }
        for (mine, theirs) in zip(left.prerelease, right.prerelease) where mine != theirs {
            switch (mine, theirs) {
            case (.number(let mine), .number(let theirs)): return mine < theirs
            case (.number, .text): return true
            case (.text, .number): return false
            case (.text(let mine), .text(let theirs)): return mine.utf8.lexicographicallyPrecedes(theirs.utf8)
            }
        }
        return left.prerelease.count < right.prerelease.count
    }
}

/// The semantic version library of Kubernetes.
enum CELSemverLibrary {
    private static let version = CELType.opaque(.semver)

    static let overloads: [CELOverload] = [
        .function("semver", [.string], version, .general(semver)),
        .function("semver", [.string, .bool], version, .general(semver)),
        .function("isSemver", [.string], .bool, .general(isSemver)),
        .function("isSemver", [.string, .bool], .bool, .general(isSemver)),
        reading("major") { $0.major },
        reading("minor") { $0.minor },
        reading("patch") { $0.patch },
        comparing("isLessThan", .bool) { .bool($0 < $1) },
        comparing("isGreaterThan", .bool) { .bool($1 < $0) },
        comparing("compareTo", .int) { .int($0 < $1 ? -1 : $1 < $0 ? 1 : 0) },
    ]

    private static func parse(
        _ arguments: [CELValue], _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> Result<CELSemanticVersion, CELSemanticVersion.Failure> {
        let text = try arguments[0].text()
        try frame.chargeText(text.utf8.count)
        var normalizing = false
        if arguments.count > 1 {
            guard case .bool(let value) = arguments[1] else { throw .noSuchOverload }
            normalizing = value
        }
        do throws(CELSemanticVersion.Failure) {
            return .success(try CELSemanticVersion(parsing: text, normalizing: normalizing))
        } catch {
            return .failure(error)
        }
    }

    static func semver(_ arguments: [CELValue], _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        switch try parse(arguments, &frame) {
        case .success(let version): return .opaque(.semver(version))
        case .failure(let failure): throw .invalid(failure.reason)
        }
    }

    static func isSemver(_ arguments: [CELValue], _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        if case .success = try parse(arguments, &frame) { .bool(true) } else { .bool(false) }
    }

    private static func reading(_ name: String, _ read: @escaping @Sendable (CELSemanticVersion) -> UInt64) -> CELOverload {
        .member(
            name, [version], .int,
            .unary { (version, frame) throws(CELEvaluationError) in
                guard case .opaque(.semver(let version)) = version else { throw .noSuchOverload }
                try frame.charge(1)
                return .int(Int64(truncatingIfNeeded: read(version)))
            })
    }

    private static func comparing(
        _ name: String, _ result: CELType, _ compare: @escaping @Sendable (CELSemanticVersion, CELSemanticVersion) -> CELValue
    ) -> CELOverload {
        .member(
            name, [version, version], result,
            .binary { (left, right, frame) throws(CELEvaluationError) in
                guard case .opaque(.semver(let left)) = left, case .opaque(.semver(let right)) = right else {
                    throw .noSuchOverload
                }
                try frame.charge(1)
                return compare(left, right)
            })
    }
}
