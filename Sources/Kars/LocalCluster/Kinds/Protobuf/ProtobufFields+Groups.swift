/// Messages of every package but the core.
extension ProtobufFields {
    static let meta: [String: String] = [
        "Condition": "type status observedGeneration lastTransitionTime reason message",
        "DeleteOptions": "gracePeriodSeconds preconditions orphanDependents propagationPolicy dryRun",
        "LabelSelector": "matchLabels matchExpressions",
        "LabelSelectorRequirement": "key operator values",
        "ListMeta": "selfLink resourceVersion continue remainingItemCount",
        "ManagedFieldsEntry": "manager operation apiVersion time - fieldsType fieldsV1 subresource",
        "ObjectMeta":
            "name generateName namespace selfLink uid resourceVersion generation creationTimestamp deletionTimestamp "
            + "deletionGracePeriodSeconds labels annotations ownerReferences finalizers - - managedFields",
        "OwnerReference": "kind - name uid apiVersion controller blockOwnerDeletion",
        "Preconditions": "uid resourceVersion",
        "Status": "metadata status message reason details code",
        "StatusCause": "reason message field",
        "StatusDetails": "name group kind causes retryAfterSeconds uid",
    ]

    static let admission: [String: String] = [
        "AuditAnnotation": "key valueExpression",
        "ExpressionWarning": "- fieldRef warning",
        "MatchCondition": "name expression",
        "MatchResources": "namespaceSelector objectSelector resourceRules excludeResourceRules - - matchPolicy",
        "NamedRuleWithOperations": "resourceNames +RuleWithOperations",
        "ParamKind": "apiVersion kind",
        "ParamRef": "name namespace selector parameterNotFoundAction",
        "Rule": "apiGroups apiVersions resources scope",
        "RuleWithOperations": "operations +Rule",
        "TypeChecking": "expressionWarnings",
        "ValidatingAdmissionPolicy": "metadata spec status",
        "ValidatingAdmissionPolicyBinding": "metadata spec",
        "ValidatingAdmissionPolicyBindingSpec": "policyName paramRef matchResources validationActions",
        "ValidatingAdmissionPolicySpec":
            "paramKind matchConstraints validations failurePolicy auditAnnotations matchConditions variables",
        "ValidatingAdmissionPolicyStatus": "observedGeneration typeChecking conditions",
        "Validation": "expression message reason messageExpression",
        "Variable": "name expression",
    ]

    static let apps: [String: String] = [
        "Deployment": "metadata spec status",
        "DeploymentCondition": "type status - reason message lastUpdateTime lastTransitionTime",
        "DeploymentSpec":
            "replicas selector template strategy minReadySeconds revisionHistoryLimit paused - "
            + "progressDeadlineSeconds",
        "DeploymentStatus":
            "observedGeneration replicas updatedReplicas availableReplicas unavailableReplicas conditions "
            + "readyReplicas collisionCount terminatingReplicas",
        "DeploymentStrategy": "type rollingUpdate",
        "ReplicaSet": "metadata spec status",
        "ReplicaSetCondition": "type status lastTransitionTime reason message",
        "ReplicaSetSpec": "replicas selector template minReadySeconds",
        "ReplicaSetStatus":
            "replicas fullyLabeledReplicas observedGeneration readyReplicas availableReplicas conditions "
            + "terminatingReplicas",
        "RollingUpdateDeployment": "maxUnavailable maxSurge",
    ]

    static let authentication: [String: String] = [
        "BoundObjectReference": "kind apiVersion name uid",
        "SelfSubjectReview": "metadata status",
        "SelfSubjectReviewStatus": "userInfo",
        "TokenRequest": "metadata spec status",
        "TokenRequestSpec": "audiences - boundObjectRef expirationSeconds",
        "TokenRequestStatus": "token expirationTimestamp",
        "TokenReview": "metadata spec status",
        "TokenReviewSpec": "token audiences",
        "TokenReviewStatus": "authenticated user error audiences",
        "UserInfo": "username uid groups extra",
    ]

    static let authorization: [String: String] = [
        "FieldSelectorAttributes": "rawSelector requirements",
        "LabelSelectorAttributes": "rawSelector requirements",
        "LocalSubjectAccessReview": "metadata spec status",
        "NonResourceAttributes": "path verb",
        "NonResourceRule": "verbs nonResourceURLs",
        "ResourceAttributes": "namespace verb group version resource subresource name fieldSelector labelSelector",
        "ResourceRule": "verbs apiGroups resources resourceNames",
        "SelfSubjectAccessReview": "metadata spec status",
        "SelfSubjectAccessReviewSpec": "resourceAttributes nonResourceAttributes",
        "SelfSubjectRulesReview": "metadata spec status",
        "SelfSubjectRulesReviewSpec": "namespace",
        "SubjectAccessReview": "metadata spec status",
        "SubjectAccessReviewSpec": "resourceAttributes nonResourceAttributes user groups extra uid",
        "SubjectAccessReviewStatus": "allowed reason evaluationError denied",
        "SubjectRulesReviewStatus": "resourceRules nonResourceRules incomplete evaluationError",
    ]

    static let autoscaling: [String: String] = [
        "Scale": "metadata spec status",
        "ScaleSpec": "replicas",
        "ScaleStatus": "replicas selector",
    ]

    static let batch: [String: String] = [
        "Job": "metadata spec status",
        "JobCondition": "type status lastProbeTime lastTransitionTime reason message",
        "JobSpec":
            "parallelism completions activeDeadlineSeconds selector manualSelector template backoffLimit "
            + "ttlSecondsAfterFinished completionMode suspend podFailurePolicy backoffLimitPerIndex maxFailedIndexes "
            + "podReplacementPolicy managedBy successPolicy",
        "JobStatus":
            "conditions startTime completionTime active succeeded failed completedIndexes uncountedTerminatedPods "
            + "ready failedIndexes terminating",
        "PodFailurePolicy": "rules",
        "PodFailurePolicyOnExitCodesRequirement": "containerName operator values",
        "PodFailurePolicyOnPodConditionsPattern": "type status",
        "PodFailurePolicyRule": "action onExitCodes onPodConditions",
        "SuccessPolicy": "rules",
        "SuccessPolicyRule": "succeededIndexes succeededCount",
        "UncountedTerminatedPods": "succeeded failed",
    ]

    static let coordination: [String: String] = [
        "Lease": "metadata spec",
        "LeaseSpec": "holderIdentity leaseDurationSeconds acquireTime renewTime leaseTransitions strategy preferredHolder",
    ]

    static let discovery: [String: String] = [
        "Endpoint": "addresses conditions hostname targetRef deprecatedTopology nodeName zone hints",
        "EndpointConditions": "ready serving terminating",
        "EndpointHints": "forZones forNodes",
        "EndpointPort": "name protocol port appProtocol",
        "EndpointSlice": "metadata endpoints ports addressType",
        "ForNode": "name",
        "ForZone": "name",
    ]

    static let events: [String: String] = [
        "Event":
            "metadata eventTime series reportingController reportingInstance action reason regarding related note "
            + "type deprecatedSource deprecatedFirstTimestamp deprecatedLastTimestamp deprecatedCount",
        "EventSeries": "count lastObservedTime",
    ]

    static let networking: [String: String] = [
        "IPBlock": "cidr except",
        "NetworkPolicy": "metadata spec",
        "NetworkPolicyEgressRule": "ports to",
        "NetworkPolicyIngressRule": "ports from",
        "NetworkPolicyPeer": "podSelector namespaceSelector ipBlock",
        "NetworkPolicyPort": "protocol port endPort",
        "NetworkPolicySpec": "podSelector ingress egress policyTypes",
    ]

    static let policy: [String: String] = [
        "Eviction": "metadata deleteOptions"
    ]

    static let rbac: [String: String] = [
        "AggregationRule": "clusterRoleSelectors",
        "ClusterRole": "metadata rules aggregationRule",
        "ClusterRoleBinding": "metadata subjects roleRef",
        "PolicyRule": "verbs apiGroups resources resourceNames nonResourceURLs",
        "Role": "metadata rules",
        "RoleBinding": "metadata subjects roleRef",
        "RoleRef": "apiGroup kind name",
        "Subject": "kind apiGroup name namespace",
    ]
}
