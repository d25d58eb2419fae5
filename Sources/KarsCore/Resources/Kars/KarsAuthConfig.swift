/// How agents of this cluster prove themselves to Entra. There is one, named `default`; without it nothing Azure happens.
package struct KarsAuthConfig: KarsResource {
    package var metadata: JSONObject
    package var spec: Spec
    package var status: Status

    package init(metadata: JSONObject, spec: Spec, status: Status) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    package static let singletonName = "default"
    package static let definition = KarsKind(
        kind: "KarsAuthConfig", plural: "karsauthconfigs", shortName: "kac", scope: .cluster,
        summary: "How agents of this cluster prove themselves to Entra.",
        columns: [
            .init("Tenant", ".spec.tenant.tenantId"), .init("Blueprint", ".spec.agentId.blueprintClientId"), .phase, .age,
        ],
        spec: Spec.schema, status: Status.schema,
        rules: [
            .init("self.metadata.name == '\(singletonName)'", message: "there is one KarsAuthConfig, named \(singletonName)")
        ])

    package struct Spec: SchemaRecord {
        package enum MeshBackend: String, SchemaChoice { case anonymous = "Anonymous", entraAgentIdentity = "EntraAgentIdentity" }

        package var tenant = Tenant()
        package var agentId = AgentID()
        package var controller = ControllerIdentity()
        package var meshAuthBackend = MeshBackend.anonymous
        package var meshAuthAudience: String?
        /// By name.
        package var downstreamApis: [String: DownstreamAPI] = [:]
        package var foundryRbac: [RoleGrant] = []

        package init() {}

        package static let summary = "The tenant, the blueprint of agents, and who creates them."
        package static let fields: [SchemaField<Spec>] = [
            .required("tenant", \.tenant, "The Entra tenant."), .required("agentId", \.agentId, "What agents are made after."),
            .required("controller", \.controller, "Who the controller is to Entra."),
            .defaulted("meshAuthBackend", \.meshAuthBackend, "How agents prove themselves to the mesh."),
            .optional("meshAuthAudience", \.meshAuthAudience, "Audience of tokens for the mesh.") { $0.plainText(1...512) },
            .collection("downstreamApis", \.downstreamApis, "APIs that tokens are fetched for, by a name of letters and digits.")
            {
                $0.with(\.maxProperties, 8).ruled(.init(apiNameRule, message: apiNameMessage))
            },
            .collection("foundryRbac", \.foundryRbac, "Roles that each agent gets.") { $0.with(\.maxItems, 32).atomic() },
        ]
        private static let apiNameRule = "self.all(name, name.matches('^[A-Za-z0-9]+$'))"
        private static let apiNameMessage = "names of APIs are letters and digits: they become parts of variables"

        /// What a server with this definition would refuse.
        package func faults() -> [ResourceError] {
            var faults = keywordFaults(at: "spec")
            if controller.credentialMode == .managedIdentityImds,
                controller.managedIdentityClientId == nil
                    || controller.managedIdentityResourceId == nil
            {
                faults.append(ResourceError("spec.controller", ControllerIdentity.needsIdentity))
            }
            let isName = { (name: String) in
                !name.isEmpty
                    && name.unicodeScalars.allSatisfy { scalar in
                        scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
                    }
            }
            if !downstreamApis.keys.allSatisfy(isName) {
                faults.append(ResourceError("spec.downstreamApis", Self.apiNameMessage))
            }
            if !SchemaText.isPlain(meshAuthAudience ?? "") {
                faults.append(ResourceError("spec.meshAuthAudience", "only printable text, tabs and line ends"))
            }
            return faults
        }
    }

    package struct Tenant: SchemaRecord {
        package var tenantId = ""
        package var authorityHost = "https://login.microsoftonline.com/"
        package var serviceManagementReference: String?

        package init() {}

        package static let summary = "The Entra tenant."
        package static let fields: [SchemaField<Tenant>] = [
            .required("tenantId", \.tenantId, "Its identifier.") { $0.guid() },
            .defaulted("authorityHost", \.authorityHost, "Where tokens are issued.") { $0.httpsURL() },
            .optional("serviceManagementReference", \.serviceManagementReference, "For the tenant's own records.") {
                $0.with(\.maxLength, 256)
            },
        ]
    }

    package struct AgentID: SchemaRecord {
        package var blueprintClientId = ""
        package var blueprintObjectId = ""
        package var sponsorUserObjectIds: [String] = []

        package init() {}

        package static let summary = "The blueprint that agents are made after."
        package static let fields: [SchemaField<AgentID>] = [
            .required("blueprintClientId", \.blueprintClientId, "Its client identifier.") { $0.guid() },
            .required("blueprintObjectId", \.blueprintObjectId, "Its object identifier.") { $0.guid() },
            .collection("sponsorUserObjectIds", \.sponsorUserObjectIds, "People who answer for the agents.") {
                $0.with(\.maxItems, 32).with(\.items, StructuralSchema.string.guid())
            },
        ]
    }

    package struct ControllerIdentity: SchemaRecord {
        package enum CredentialMode: String, SchemaChoice {
            case managedIdentityImds = "ManagedIdentityImds", workloadIdentity = "WorkloadIdentity"
        }

        package var managedIdentityClientId: String?
        package var managedIdentityResourceId: String?
        package var managedIdentityPrincipalId: String?
        package var credentialMode = CredentialMode.managedIdentityImds

        package init() {}

        static let needsIdentity = "ManagedIdentityImds needs managedIdentityClientId and managedIdentityResourceId"
        package static let summary = "Who the controller is to Entra."
        package static let fields: [SchemaField<ControllerIdentity>] = [
            .optional("managedIdentityClientId", \.managedIdentityClientId, "Client identifier of the managed identity.") {
                $0.guid()
            },
            .optional("managedIdentityResourceId", \.managedIdentityResourceId, "The managed identity in Azure.") {
                $0.with(\.maxLength, 512).matching("^/subscriptions/[^[:space:]]+$")
            },
            .optional("managedIdentityPrincipalId", \.managedIdentityPrincipalId, "Object identifier of the managed identity.") {
                $0.guid()
            },
            .defaulted("credentialMode", \.credentialMode, "How the controller proves itself."),
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init(
                "self.credentialMode != 'ManagedIdentityImds' || (has(self.managedIdentityClientId) && has(self.managedIdentityResourceId))",
                message: needsIdentity)
        ]
    }

    package struct DownstreamAPI: SchemaRecord {
        package var baseUrl = ""
        package var scopes: [String] = []
        package var requestAppToken = true

        package init() {}

        package static let summary = "An API that tokens are fetched for."
        package static let fields: [SchemaField<DownstreamAPI>] = [
            .required("baseUrl", \.baseUrl, "Where it is.") { $0.httpsURL() },
            .collection("scopes", \.scopes, "What is asked for.") {
                $0.with(\.maxItems, 32).with(\.items, StructuralSchema.string.with(\.maxLength, 512))
            },
            .defaulted("requestAppToken", \.requestAppToken, "Whether the agent acts for itself rather than for a person."),
        ]
    }

    package struct RoleGrant: SchemaRecord {
        package var scope = ""
        package var roleDefinitionIds: [String] = []

        package init() {}

        package static let summary = "Roles of Azure on one resource."
        package static let fields: [SchemaField<RoleGrant>] = [
            .required("scope", \.scope, "The resource.") { $0.with(\.maxLength, 512).matching("^/subscriptions/[^[:space:]]+$") },
            .required("roleDefinitionIds", \.roleDefinitionIds, "The roles.") {
                $0.with(\.minItems, 1).with(\.maxItems, 16).with(\.items, StructuralSchema.string.guid())
            },
        ]
    }

    package struct Status: SchemaRecord {
        package enum Phase: String, SchemaChoice {
            case pending = "Pending", ready = "Ready", degraded = "Degraded", notDefault = "NotDefault"
        }

        package var phase: Phase?
        package var observedGeneration: Int?
        package var blueprintFicCount: Int?
        package var blueprintFicQuota: Int?
        package var conditions: [Condition] = []

        package init() {}

        package static let summary = "Whether it is in force."
        package static let fields: [SchemaField<Status>] = [
            .optional("phase", \.phase, "Pending, Ready, Degraded, or NotDefault for another name."),
            .optional("observedGeneration", \.observedGeneration, "The generation that this speaks of."),
            .optional("blueprintFicCount", \.blueprintFicCount, "Federated credentials that the blueprint has."),
            .optional("blueprintFicQuota", \.blueprintFicQuota, "How many it may have."),
            [Condition].field(\.conditions),
        ]
    }
}
