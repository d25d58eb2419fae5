import KarsCore
import Testing

@testable import Kars

@Suite struct Tables {
    static let now = UTCTime(seconds: 1_795_225_417)

    /// The columns without their descriptions, which are our own.
    static func undescribed(_ table: JSON) -> [JSON] {
        (table["columnDefinitions"]?.arrayValue ?? []).map { column in
            var column = column.objectValue ?? JSONObject()
            column["description"] = nil
            return .object(column)
        }
    }

    static func cells(_ table: JSON) -> [[JSON]] { (table["rows"]?.arrayValue ?? []).map { $0["cells"]?.arrayValue ?? [] } }

    @Test func `pods look as in the recorded table`() throws {
        let recorded = KindRecord["pod-list-table"].answer
        let pods = (KindRecord["pod-list"].answer["items"]?.arrayValue ?? []).compactMap(\.objectValue)
        let table = TableRenderer.table(of: pods, resource: PodKind.resource, includeObject: .metadata, now: Self.now)
        #expect(Self.undescribed(table) == Self.undescribed(recorded))
        #expect(Self.cells(table) == Self.cells(recorded))
        #expect(table["kind"] == recorded["kind"] && table["apiVersion"] == recorded["apiVersion"])
        let object = table["rows"]?[0]?["object"]
        #expect(object?["kind"] == "PartialObjectMetadata" && object?["metadata"]?["name"] == .string(pods[0].name))
        #expect(object?["spec"] == nil)
    }

    @Test func `custom resources have the columns of their definition`() throws {
        let resource = try #require(try CustomResources.served(from: KindRecord["crd-get-established"].object).first)
        let widgets = (KindRecord["cr-list"].answer["items"]?.arrayValue ?? []).compactMap(\.objectValue)
        let widget = try #require(widgets.first { $0.name == "w1" })
        let created = try #require(UTCTime(rfc3339: widget.metadata["creationTimestamp"]?.stringValue ?? ""))
        let table = TableRenderer.table(
            of: [widget], resource: resource, includeObject: .none, now: created.advanced(by: .seconds(4)))
        let recorded = KindRecord["cr-list-table-full"].answer
        #expect(Self.cells(table) == Self.cells(recorded))
        #expect(table["rows"]?[0]?["object"] == .null)
        #expect(
            Array((table["columnDefinitions"]?.arrayValue ?? []).dropFirst())
                == Array((recorded["columnDefinitions"]?.arrayValue ?? []).dropFirst()))
    }

    @Test(arguments: [
        (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (185, "3m5s"), (600, "10m"), (10_799, "179m"),
        (10_800, "3h"),
        (11_100, "3h5m"), (28_800, "8h"), (172_799, "47h"), (172_800, "2d"), (190_800, "2d5h"), (691_200, "8d"),
        (63_072_000, "2y"), (64_000_000, "2y10d"), (252_288_000, "8y"),
    ])
    func `ages have two units at most`(seconds: Int, text: String) {
        #expect(AgeText.of(.seconds(seconds)) == text)
    }

    @Test func `a pod is summed up in a word`() {
        #expect(PodSummary(KindRecord["pod-running"].object).word == "Running")
        #expect(PodSummary(KindRecord["pod-crashloop-get"].object).word == "Error")
        #expect(PodSummary(KindRecord["pod-succeeds-last"].object).word == "Completed")
        let sidecar = PodSummary(KindRecord["pod-sidecar-last"].object)
        #expect(sidecar.containers == 2)
        let crashed = PodSummary(KindRecord["pod-crashloop-get"].object).restartText(Self.now.advanced(by: .seconds(3_600)))
        #expect(crashed.hasPrefix("2 (") && crashed.hasSuffix(" ago)"))
    }

    @Test func `a pod that has ended is marked`() {
        let table = TableRenderer.table(
            of: [KindRecord["pod-succeeds-last"].object], resource: PodKind.resource, includeObject: .none, now: Self.now)
        #expect(table["rows"]?[0]?["conditions"]?[0]?["type"] == "Completed")
    }

    /// One object of each kind as `kubectl get -o wide` shows it, ages left out.
    @Test(arguments: [
        ("job-complete-last", ["j", "Complete", "1/1", "3s", "AGE", "c", "localhost/busybox:1", "SELECTOR"]),
        ("svc-headless", ["svc2", "ClusterIP", "None", "<none>", "80/TCP", "AGE", "app=d1"]),
        ("deploy-get", ["d1", "0/2", "1", "0", "AGE", "c", "example.com/app:1", "app=d1"]),
        ("netpol-create", ["np1", "<none>", "AGE"]), ("secret-string-data", ["s1", "Opaque", "1", "AGE"]),
        ("ns-create", ["golden", "Active", "AGE"]), ("lease-create", ["lead", "a", "AGE"]),
        (
            "rolebinding-create", ["rb1", "Role/r1", "AGE", "alice", "", "golden/robot"]
        ),
        (
            "quota-get", ["rq", "count/widgets.golden.example.com: 4/20, pods: 4/3, requests.cpu: 100m/500m", "", "AGE"]
        ),
        ("vap-create", ["golden-no-bad", "2", "<unset>", "AGE"]),
        (
            "node-cordon",
            [
                "node1", "Ready,SchedulingDisabled", "<none>", "AGE", "v1.36.2", "10.244.0.1", "<none>", "<varies>", "<varies>",
                "<varies>",
            ]
        ),
    ])
    func `each kind has its cells`(id: String, expected: [String]) throws {
        let object = KindRecord[id].object
        let resource = try #require(KindRecord.served(object))
        let table = TableRenderer.table(of: [object], resource: resource, includeObject: .none, now: Self.now)
        let cells = Self.cells(table)[0].map { $0.stringValue ?? $0.description }
        #expect(cells.count == expected.count)
        for (cell, wanted) in zip(cells, expected) where wanted != "AGE" && wanted != "SELECTOR" { #expect(cell == wanted) }
    }
}
