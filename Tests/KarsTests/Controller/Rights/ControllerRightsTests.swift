import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// The controller works with the rights that are shipped, and those are rights that it works with.
///
/// The real controller, with a token of its own account, meets every kind on the embedded cluster while the API server notes what it is
/// asked. What was asked is then held against the rules in the manifests: nothing may be missing, and what nobody asked for needs a reason.
@Suite struct `Rights of the controller` {
    static let manifests = KarsManifests.all(ManifestPart.allCases)

    static let controller = ShippedRights(
        of: ManifestConfig.controllerAccount, in: manifests, lent: [AccessManifests.sandboxManager])
    static let granter = ShippedRights(of: SREManifests.granter, in: manifests)

    private static let records = "kinds that are recorded: their status says whether they are sound"

    /// Rights that the scenario has no use for, each with what has.
    static let reasons: [(beginning: String, why: String)] = [
        (
            "kars-controller: update",
            "owners that hold up their own deletion, where the API server asks (OwnerReferencesPermissionEnforcement)"
        ),
        ("kars-controller: delete karssreactions", "an hour after its end: `an hour after its end the action goes`"),
        ("kars-controller: patch events", "a note that is repeated becomes a series"),
        ("kars-controller: get karsauthconfigs", records), ("kars-controller: list karsauthconfigs", records),
        ("kars-controller: watch karsauthconfigs", records), ("kars-controller: patch karsauthconfigs/status", records),
        ("kars-controller: get karspairings", records), ("kars-controller: list karspairings", records),
        ("kars-controller: watch karspairings", records), ("kars-controller: patch karspairings/status", records),
        ("kars-sre-observer: ", "repairs of other kinds than a quota's"),
        ("kars-sandbox-manager: create pods/portforward", "the older of the two ways to forward a port"),
    ]

    @Test func `it asks for nothing that is not shipped, and nothing is shipped that it does not ask for`() async throws {
        let record = RecordedAccess()
        try await OperatedCluster.run(
            environment: ["EGRESS_APPROVAL_RETENTION_SECONDS": "0"], authorizer: { record.around($0) }
        ) { cluster in
            try await RightsScenario(cluster: cluster).play()
        }
        let user = InstalledCluster.controller
        let asked = record.asked(by: user)
        #expect(asked.filter { !Self.controller.covers($0) }.map(\.description) == [], "asked for and not shipped")
        // What is refused is refused before the rights that come with a sandbox's namespace are there.
        let refused = record.refused(to: user).filter { !ShippedRights.Scope.sandboxes.holds(in: $0.namespace) }
        #expect(refused.map(\.description) == [], "refused")
        let unused = Self.controller.unused(by: asked).filter { right in
            !Self.reasons.contains { right.hasPrefix($0.beginning) }
        }
        #expect(unused == [], "shipped and not asked for")

        let granter = "system:serviceaccount:kars-system:\(SREManifests.granter)"
        // Before it looks at what the granter has, the server asks whether it may give out more than that; it may not.
        func isOwn(_ question: RecordedAccess.Question) -> Bool { !["bind", "escalate"].contains(question.verb) }
        #expect(record.refused(to: granter).filter(isOwn).map(\.description) == [])
        #expect(record.asked(by: granter).filter { isOwn($0) && !Self.granter.covers($0) }.map(\.description) == [])
        let writer = record.asked(by: "system:serviceaccount:kars-system:\(SREManifests.writer)")
        #expect(Set(writer.compactMap(\.namespace)) == ["team-a"] && Set(writer.compactMap(\.name)) == ["tight"])
    }

    @Test func `none of it is all that there is`() {
        for right in Self.controller.rights.union(Self.granter.rights) {
            #expect(!right.verb.contains("*") && !right.group.contains("*") && !right.resource.contains("*"), "\(right)")
        }
        #expect(Self.controller.rights.allSatisfy { $0.verb != "escalate" && $0.verb != "impersonate" })
    }
}
