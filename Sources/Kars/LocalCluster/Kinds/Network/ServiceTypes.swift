import KarsCore

/// Types of Service.
enum ServiceTypes {
    static let port = APIObjectType(
        .core, "ServicePort", "A port of the service.",
        [
            .optional("name", .string, "Name; needed when there are several."),
            .optional("protocol", .choice(["SCTP", "TCP", "UDP"]), default: "TCP", "`TCP`, `UDP` or `SCTP`."),
            .pointer("appProtocol", .string, "What is spoken, for instance `kubernetes.io/h2c`."),
            .required("port", .int32, "Number at the service."),
            .optional("targetPort", .intOrString, "Number or name at the pods; `port` when absent."),
            .optional("nodePort", .int32, "Number at each node, for node ports."),
        ])

    static let spec = APIObjectType(
        .core, "ServiceSpec", "What is wanted.",
        [
            .optional("ports", .keyed(port, by: "port", "protocol"), "Its ports."),
            .atomic("selector", .map(.string), "Labels of the pods behind it."),
            .optional("clusterIP", .string, "Its address; `None` for none."),
            .optional("clusterIPs", .list(.string), "Its addresses."),
            .optional(
                "type", .choice(["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]), default: "ClusterIP",
                "How it is reached."),
            .optional("externalIPs", .list(.string), "Further addresses whose traffic is for it."),
            .optional("sessionAffinity", .choice(["ClientIP", "None"]), default: "None", "Whether a client stays with a pod."),
            .optional("loadBalancerIP", .string, "No longer used."),
            .optional("loadBalancerSourceRanges", .list(.string), "Who may use the load balancer."),
            .optional("externalName", .string, "The name that it stands for."),
            .optional("externalTrafficPolicy", .choice(["Cluster", "Local"]), "Whether outside traffic stays on its node."),
            .optional("healthCheckNodePort", .int32, "Port for health checks of a load balancer."),
            .optional("publishNotReadyAddresses", .boolean, "Whether pods that are not ready count."),
            .optional(
                "sessionAffinityConfig",
                .object(
                    APIObjectType(
                        .core, "SessionAffinityConfig", "How a client stays with a pod.",
                        [
                            .optional(
                                "clientIP",
                                .object(
                                    APIObjectType(
                                        .core, "ClientIPConfig", "By address.",
                                        [.pointer("timeoutSeconds", .int32, "How long.")])),
                                "By address.")
                        ])),
                "How a client stays with a pod."),
            .optional("ipFamilies", .list(.choice(["IPv4", "IPv6"])), "Families of its addresses."),
            .pointer("ipFamilyPolicy", .choice(["PreferDualStack", "RequireDualStack", "SingleStack"]), "How many families."),
            .pointer("allocateLoadBalancerNodePorts", .boolean, "Whether a load balancer has node ports."),
            .pointer("loadBalancerClass", .string, "Which load balancer."),
            .pointer("internalTrafficPolicy", .choice(["Cluster", "Local"]), "Whether inside traffic stays on its node."),
            .pointer("trafficDistribution", .string, "Which pods are preferred."),
        ])

    private static let portStatus = APIObjectType(
        .core, "PortStatus", "A port of the load balancer.",
        [
            .required("port", .int32, "Its number."), .required("protocol", .string, "Its protocol."),
            .pointer("error", .string, "What went wrong."),
        ])

    private static let ingress = APIObjectType(
        .core, "LoadBalancerIngress", "An address of the load balancer.",
        [
            .optional("ip", .string, "Its address."), .optional("hostname", .string, "Its name."),
            .pointer("ipMode", .string, "How traffic arrives."), .optional("ports", .list(portStatus), "Its ports."),
        ])

    private static let loadBalancer = APIObjectType(
        .core, "LoadBalancerStatus", "How a load balancer is.", [.optional("ingress", .list(ingress), "Its addresses.")])

    static let service = APIObjectType.kind(
        .core, "Service", "A name and an address for pods.",
        [
            .shown("spec", .object(spec), "What is wanted."),
            .shown(
                "status",
                .object(
                    APIObjectType(
                        .core, "ServiceStatus", "What is there.",
                        [
                            .shown("loadBalancer", .object(loadBalancer), "How its load balancer is."),
                            .optional("conditions", .keyed(MetaTypes.condition, by: "type"), "Aspects of its state."),
                        ])),
                "What is there."),
        ])
}
