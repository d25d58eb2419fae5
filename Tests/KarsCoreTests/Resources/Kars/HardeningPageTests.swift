import KarsCore
import Testing

/// docs/hardening.md names a test for each weakness; a name that no test has would be a promise without proof.
@Suite struct `Hardening page` {
    /// Every Swift file below `directory`.
    private static func sources(below directory: String) throws -> [String] {
        try Files.entries(of: directory).flatMap { name in
            if name.hasSuffix(".swift") { return ["\(directory)/\(name)"] }
            // Recorded data, and files of other kinds.
            return name == "Vectors" || name.contains(".") ? [] : try sources(below: "\(directory)/\(name)")
        }
    }

    /// Names of functions, without the mark of a weakness that a name may begin with.
    private static func tests(in bytes: [UInt8]) -> [String] {
        bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let parts = line.split(separator: UInt8(ascii: "`"), omittingEmptySubsequences: false)
            guard parts.count > 2, parts[0].suffix(5).elementsEqual("func ".utf8) else { return nil }
            let name = String(decoding: parts[1], as: UTF8.self)
            return name.hasPrefix("BEAT: ") ? String(name.dropFirst(6)) : name
        }
    }

    @Test func `every test that it names is there`() throws {
        let page = String(
            decoding: try Files.read("\(`Shipped files`.root)/docs/hardening.md", upTo: 1 << 20), as: UTF8.self)
        var names: Set<String> = []
        for line in page.split(separator: "\n") where line.hasPrefix("|") && line.hasSuffix("` |") {
            names.insert(String(try #require(line.dropLast(3).split(separator: "`").last)))
        }
        #expect(names.count > 90)
        var tests: Set<String> = []
        for folder in ["KarsCoreTests", "KarsTests"] {
            for path in try Self.sources(below: "\(`Shipped files`.root)/Tests/\(folder)") {
                tests.formUnion(Self.tests(in: try Files.read(path, upTo: 4 << 20)))
            }
        }
        #expect(names.subtracting(tests).sorted() == [])
    }
}
