/// What is refused of our own kinds beyond what their definitions can say: that depends on who asks, or on another object.
extension AdmissionManifests {
    static func declarationPolicies(_ config: ManifestConfig) -> [AdmissionPolicy] {
        [sreApproval, repairSandbox(config), spawning, safetyFloor(config), devOnly]
    }

    /// An action is born undecided, and who decides is a person with the verb `approve`, who signs with their own name.
    private static let sreApproval = AdmissionPolicy(
        name: "kars-sre-approval",
        targets: [.init(["CREATE", "UPDATE"], KarsKind.group, ["karssreactions"])],
        variables: [
            "decides":
                "request.operation == 'UPDATE' && object.spec.approval != oldObject.spec.approval",
            "proposes": "request.operation == 'CREATE'",
        ],
        validations: [
            .init(
                "!variables.proposes || (object.spec.approval.state == 'Pending' && !has(object.spec.approval.by))",
                "an action is proposed Pending; approving it comes after, by somebody else"),
            .init("!variables.decides || !(\(isSandbox))", "no agent decides on an action"),
            .init(
                """
                !variables.decides || authorizer.group('\(KarsKind.group)').resource('karssreactions')\
                .namespace(object.metadata.namespace).name(object.metadata.name).check('\(SREManifests.approveVerb)').allowed()
                """,
                "deciding takes the verb \(SREManifests.approveVerb) on karssreactions (ClusterRole \(SREManifests.approver))"),
            .init(
                "!variables.decides || object.spec.approval.?by.orValue('') == request.userInfo.username",
                "spec.approval.by names who decides",
                messageExpression: "'spec.approval.by names who decides: \"' + request.userInfo.username + '\"'"),
        ])

    /// The label `role=sre` opens the way to the API server. One sandbox may have it, and only who may grant it can give it. Its name is
    /// kept for it: the rights of its account are bound to the namespace `kars-sre`, whichever sandbox that belongs to.
    private static func repairSandbox(_ config: ManifestConfig) -> AdmissionPolicy {
        AdmissionPolicy(
            name: "kars-sre-sandbox",
            targets: [.init(["CREATE", "UPDATE"], KarsKind.group, ["karssandboxes"])],
            conditions: [
                "role-given": """
                (\(label("object", "role")) != '' \
                && (oldObject == null || \(label("oldObject", "role")) != \(label("object", "role")))) \
                || (oldObject == null && object.metadata.name == 'sre')
                """
            ],
            validations: [
                .init("\(label("object", "role")) != ''", "the name sre is for the sandbox with the role sre"),
                .init("\(label("object", "role")) == 'sre'", "the only role of a sandbox is sre"),
                .init(
                    "object.metadata.name == 'sre' && object.metadata.namespace == '\(config.namespace)'",
                    "one sandbox has the role sre: \(config.namespace)/sre"),
                .init("!(\(isSandbox))", "no agent makes a sandbox with the role sre"),
                .init(
                    """
                    authorizer.group('\(KarsKind.group)').resource('karssandboxes').namespace(object.metadata.namespace)\
                    .name(object.metadata.name).check('grant-sre').allowed()
                    """,
                    "the role sre takes the verb grant-sre on karssandboxes"),
            ])
    }

    /// A field of the child and of its parent, or what its absence means.
    private typealias BothFields = (_ path: String, _ fallback: String) -> (child: String, parent: String)

    /// Holds unless `params`, which is every sandbox of the namespace in turn, is the parent.
    private static func atMost(_ comparison: (BothFields) -> String) -> String {
        func field(_ object: String, _ path: String, _ fallback: String) -> String {
            "\(object).spec.?" + path.split(separator: ".").joined(separator: ".?") + ".orValue(\(fallback))"
        }
        return "!variables.isParent || " + comparison { (field("object", $0, $1), field("params", $0, $1)) }
    }

    private static func same(_ path: String, or fallback: String) -> String {
        atMost { field in
            let (child, parent) = field(path, fallback)
            return "\(child) == \(parent)"
        }
    }

    private static func within(_ path: String) -> String {
        atMost { field in
            let (child, parent) = field(path, "[]")
            return "\(child).all(x, x in \(parent))"
        }
    }

    /// A sandbox makes and removes children of its own, each with no more than itself.
    private static let spawning = AdmissionPolicy(
        name: "kars-spawn-bounds",
        targets: [.init(["CREATE", "UPDATE", "DELETE"], KarsKind.group, ["karssandboxes"])],
        conditions: ["asked-by-a-sandbox": isSandbox],
        variables: [
            "me": "request.userInfo.username.split(':')[2].substring(5)",
            "isParent": "request.operation == 'CREATE' && params.metadata.name == variables.me",
            "ranks": "{'standard': 0, 'enhanced': 1, 'confidential': 2}",
        ],
        validations: [
            .init("request.operation != 'UPDATE'", "a sandbox does not change sandboxes"),
            .init(
                "request.operation != 'CREATE' || \(label("object", "parent")) == variables.me",
                "a sandbox makes children of its own only: kars.azure.com/parent is the sandbox that asks"),
            .init(
                "request.operation != 'DELETE' || \(label("oldObject", "parent")) == variables.me",
                "a sandbox removes children of its own only"),
            .init(
                "request.operation != 'CREATE' || (\(label("object", "role")) == '' && \(label("object", "dev-only")) == '')",
                "a child has no role and is not exempt from anything"),
            .init(
                atMost { field in
                    let (child, parent) = field("sandbox.isolation", "'enhanced'")
                    return "variables.ranks[\(child)] >= variables.ranks[\(parent)]"
                }, "a child is isolated at least as its parent"),
            .init(
                atMost { field in
                    let (childRoot, parentRoot) = field("sandbox.readOnlyRootFilesystem", "true")
                    let (childUser, parentUser) = field("sandbox.runAsNonRoot", "true")
                    let (childEscalates, parentEscalates) = field("sandbox.allowPrivilegeEscalation", "false")
                    return """
                        ((\(childRoot) || !\(parentRoot)) && (\(childUser) || !\(parentUser)) \
                        && (!\(childEscalates) || \(parentEscalates)))
                        """
                }, "a child is confined at least as its parent"),
            .init(same("sandbox.seccompProfile", or: "'kars-strict'"), "a child has its parent's seccomp profile"),
            .init(same("inferenceRef.name", or: "''"), "a child has its parent's inference policy"),
            .init(same("governance.toolPolicyRef.name", or: "''"), "a child has its parent's tool policy"),
            .init(
                atMost { field in
                    let (child, parent) = field("governance.enabled", "true")
                    let (childTrust, parentTrust) = field("governance.trustThreshold", "500")
                    return "((\(child) || !\(parent)) && \(childTrust) >= \(parentTrust))"
                }, "a child is governed at least as its parent"),
            .init(
                atMost { field in
                    let (child, parent) = field("memoryRef.name", "''")
                    return "\(child) in ['', \(parent)]"
                }, "a child has its parent's memory or none"),
            .init(within("governance.mcpServerRefs"), "a child has MCP servers of its parent only"),
            .init(
                atMost { field in
                    let (child, parent) = field("governance.mcpServerRef.name", "''")
                    return "\(child) in ['', \(parent)]"
                }, "a child has MCP servers of its parent only"),
            .init(
                atMost { field in
                    let (child, parent) = field("networkPolicy.egressMode", "'Learn'")
                    return "(\(child) == 'Strict' || \(parent) != 'Strict')"
                }, "a child of a strict sandbox is strict"),
            .init(within("networkPolicy.allowedEndpoints"), "a child reaches no more than its parent"),
            .init(
                atMost { field in
                    let (child, parent) = field("networkPolicy.allowlistRef.digest", "''")
                    return "(\(child) == \(parent))"
                }, "a child has its parent's signed allow list"),
            .init(within("azureServices"), "a child has services of its parent only"),
            .init(
                "request.operation != 'CREATE' || (!object.spec.?a2a.?enabled.orValue(false) && !has(object.spec.upstreamCompatibility))",
                "a child is neither published nor laid over another sandbox"),
            .init(
                atMost { _ in "object.spec.?meshAuth == params.spec.?meshAuth" },
                "a child proves itself to the mesh as its parent does"),
        ],
        parameterKind: "KarsSandbox")

    /// Of what is written. What is not said, and what a signed bundle says, cannot be seen here.
    private static func safetyFloor(_ config: ManifestConfig) -> AdmissionPolicy {
        AdmissionPolicy(
            name: "kars-content-safety-floor",
            targets: [.init(["CREATE", "UPDATE"], KarsKind.group, ["inferencepolicies"])],
            conditions: ["not-for-development": "\(label("object", "dev-only")) != 'true'"],
            variables: ["allowed": list(SafetySeverity.allCases.filter { $0 <= config.contentSafetyFloor }.map(\.description))],
            validations: [
                .init(
                    """
                    ['hate', 'selfHarm', 'sexual', 'violence'].all(category, \
                    object.spec.?contentSafety[?category].orValue(variables.allowed[0]) in variables.allowed)
                    """,
                    "content safety may not be weaker than \(config.contentSafetyFloor)")
            ])
    }

    /// `dev-only=true` exempts from floors and lets a sandbox be entered. A sandbox is born with it or never has it; taking it away says why.
    private static let devOnly = AdmissionPolicy(
        name: "kars-dev-only-label",
        targets: [.init(["UPDATE"], KarsKind.group, ["karssandboxes", "mcpservers", "toolpolicies", "inferencepolicies"])],
        conditions: [
            "label-changed": "(\(label("oldObject", "dev-only")) == 'true') != (\(label("object", "dev-only")) == 'true')"
        ],
        validations: [
            .init(
                """
                \(label("object", "dev-only")) == 'true' \
                || object.metadata.?annotations[?'kars.azure.com/dev-only-removal-reason'].orValue('') != ''
                """,
                "say why dev-only goes in the annotation kars.azure.com/dev-only-removal-reason"),
            .init(
                "\(label("object", "dev-only")) != 'true' || request.resource.resource != 'karssandboxes'",
                "a sandbox is for development from its creation or not at all: make another"),
        ])
}
