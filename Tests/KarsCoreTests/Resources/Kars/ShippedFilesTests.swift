import KarsCore
import Testing

/// The files in the repository that are written by this program: `kars manifests --helm charts/kars` and
/// `kars manifests --reference > docs/crd-reference.md` write them anew.
@Suite struct `Shipped files` {
    static let root: String = {
        var parts = #filePath.split(separator: "/").map(String.init)
        parts.removeLast(5)
        return "/" + parts.joined(separator: "/")
    }()

    @Test(arguments: HelmChart.files.map(\.path))
    func `the chart is what the generator makes`(path: String) throws {
        let file = try #require(HelmChart.files.first { $0.path == path })
        let shipped = try Files.read("\(Self.root)/charts/kars/\(path)", upTo: 8 << 20)
        #expect(String(decoding: shipped, as: UTF8.self) == file.text, "run: kars manifests --helm charts/kars")
    }

    @Test func `the chart has nothing else`() throws {
        let root = "\(Self.root)/charts/kars"
        var found = try Files.entries(of: root).filter { !["crds", "templates"].contains($0) }
        for folder in ["crds", "templates"] { found += try Files.entries(of: "\(root)/\(folder)").map { "\(folder)/\($0)" } }
        #expect(Set(found) == Set(HelmChart.files.map(\.path)))
    }

    @Test func `the reference is what the generator makes`() throws {
        let shipped = try Files.read("\(Self.root)/docs/crd-reference.md", upTo: 8 << 20)
        #expect(
            String(decoding: shipped, as: UTF8.self) == KindReference.page(KarsManifests.kinds),
            "run: kars manifests --reference > docs/crd-reference.md")
    }

    @Test func `what Helm fills in is left open, and only that`() throws {
        let text = HelmChart.files.map(\.text).joined()
        for value in [".Release.Namespace", ".Values.image", ".Values.controller.replicas", ".Values.sre.enabled"] {
            #expect(text.contains("{{ \(value)") || text.contains("if \(value)"), "\(value)")
        }
        #expect(!text.contains("kars-release-namespace") && !text.contains("98700"))
        let azure = HelmChart.files.filter { $0.path.hasPrefix("templates/") || $0.path == "values.yaml" }.flatMap {
            $0.text.split(separator: "\n").filter { $0.lowercased().contains("azure") && !$0.contains("kars.azure.com") }
        }
        // A field of a sandbox that policies speak of; nothing that an installation needs.
        #expect(azure.allSatisfy { $0.contains("azureServices") }, "\(azure)")
    }

    @Test func `YAML of every manifest reads back`() throws {
        let manifests = KarsManifests.all(ManifestPart.allCases).map { JSON.object($0.object) }
        #expect(try YAML.parse(Array(YAML.emit(manifests).utf8), file: "manifests") == manifests)
    }
}
