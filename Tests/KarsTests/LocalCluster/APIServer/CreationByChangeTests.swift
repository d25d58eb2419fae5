import KarsCore
import Testing

@testable import Kars

/// An apply of what is not there makes it; that is no way around the right to create.
@Suite struct `Creation by a change` {
    private static let map: JSONObject = [
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "notes", "namespace": "default"], "data": ["a": "b"],
    ]

    @Test func `who may change and not create makes nothing by an apply`() async throws {
        try await InstalledCluster.run([]) { cluster in
            _ = try await cluster.admin.send(
                .create(
                    .clusterRoles,
                    .read(
                        #"{"metadata":{"name":"changer"},"rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get","update","patch"]}]}"#
                    )))
            try await cluster.bind("changer", to: "dave", in: "default")
            let apply = KubernetesRequest.apply(.configMaps, Self.map, fieldManager: "dave")
            let refusal = await cluster.refusal(as: "dave", apply)
            #expect(refusal?.code == 403)
            #expect(refusal?.message.contains(#"cannot create resource "configmaps""#) == true, "\(refusal?.message ?? "")")
            _ = try await cluster.admin.send(.create(.configMaps, Self.map))
            #expect(await cluster.refusal(as: "dave", apply) == nil)
        }
    }
}
