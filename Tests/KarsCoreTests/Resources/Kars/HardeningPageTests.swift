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

    @Test func `every test that it names is there`() throws {
        let page = String(
            decoding: try Files.read("\(`Shipped files`.root)/docs/hardening.md", upTo: 1 << 20), as: UTF8.self)
        var names: Set<String> = []
        for line in page.split(separator: "\n") where line.hasPrefix("|") && line.hasSuffix("` |") {
            names.insert(String(try #require(line.dropLast(3).split(separator: "`").last)))
        }
        #expect(names.count > 90)
        var tests = ""
        for folder in ["KarsCoreTests", "KarsTests"] {
            for path in try Self.sources(below: "\(`Shipped files`.root)/Tests/\(folder)") {
                tests += String(decoding: try Files.read(path, upTo: 4 << 20), as: UTF8.self)
            }
        }
        #expect(names.filter { !tests.contains("func `\($0)`") }.sorted() == [])
    }
}
