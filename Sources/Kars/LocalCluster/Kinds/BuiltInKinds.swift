import KarsCore

/// Every kind that is served without a definition, in the order of discovery. No other well-known kind appears: what is not
/// here is answered with 404, as on a cluster without it.
enum BuiltInKinds {
    static let all: [ServedResource] =
        [
            ConfigMapKind.resource, EventKind.core, NamespaceKind.resource, NodeKind.resource, PodKind.resource,
            ResourceQuotaKind.resource, SecretKind.resource, ServiceAccountKind.resource, ServiceKind.resource,
            DeploymentKind.resource, ReplicaSetKind.resource,
            EventKind.new,
        ] + ReviewKind.all + [
            JobKind.resource, NetworkPolicyKind.resource,
            RoleBindingKind.clusterRoleBinding, RoleKind.clusterRole, RoleBindingKind.roleBinding, RoleKind.role,
            ValidatingAdmissionPolicyKind.resource, ValidatingAdmissionPolicyBindingKind.resource,
            CustomResourceDefinitionKind.resource, LeaseKind.resource, EndpointSliceKind.resource,
        ]
}
