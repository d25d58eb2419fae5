import KarsCore

/// The pod and its template (core/v1 `PodSpec`, `PodTemplateSpec`), shared by Pod, ReplicaSet, Deployment and Job.
enum PodTypes {
    static let localObjectReference = APIObjectType(
        .core, "LocalObjectReference", atomic: true, "An object of the same namespace.",
        [.optional("name", .string, "Its name.")])

    static let hostAlias = APIObjectType(
        .core, "HostAlias", "A line of the pod's hosts file.",
        [.required("ip", .string, "The address."), .optional("hostnames", .list(.string), "The names.")])

    static let dnsConfig = APIObjectType(
        .core, "PodDNSConfig", "Resolver settings, added to those of `dnsPolicy`.",
        [
            .optional("nameservers", .list(.string), "Addresses of name servers."),
            .optional("searches", .list(.string), "Domains to search."),
            .optional(
                "options",
                .list(
                    APIObjectType(
                        .core, "PodDNSConfigOption", "A resolver option.",
                        [.optional("name", .string, "Its name."), .pointer("value", .string, "Its value, if it has one.")])),
                "Resolver options."),
        ])

    static let sysctl = APIObjectType(
        .core, "Sysctl", "A kernel parameter.",
        [.required("name", .string, "Its name."), .required("value", .string, "Its value.")])

    static let securityContext = APIObjectType(
        .core, "PodSecurityContext", "How all containers of a pod are confined, unless they say otherwise.",
        [
            .optional("seLinuxOptions", .object(ContainerTypes.seLinuxOptions), "SELinux label."),
            .optional("windowsOptions", .object(ContainerTypes.windowsOptions), "Windows settings."),
            .pointer("runAsUser", .int64, "User to run as."),
            .pointer("runAsGroup", .int64, "Group to run as."),
            .pointer("runAsNonRoot", .boolean, "Refuses to run as root."),
            .optional("supplementalGroups", .list(.int64), "Further groups of each process."),
            .pointer("supplementalGroupsPolicy", .string, "How the image's own groups count: `Merge` or `Strict`."),
            .pointer("fsGroup", .int64, "Group that owns the pod's volumes."),
            .optional("sysctls", .list(sysctl), "Kernel parameters of the pod."),
            .pointer("fsGroupChangePolicy", .string, "When the owner of volumes is changed."),
            .optional("seccompProfile", .object(ContainerTypes.seccompProfile), "Which system calls are allowed."),
            .optional("appArmorProfile", .object(ContainerTypes.appArmorProfile), "Which AppArmor profile confines it."),
            .pointer("seLinuxChangePolicy", .string, "How volumes get their SELinux label."),
        ])

    static let readinessGate = APIObjectType(
        .core, "PodReadinessGate", "A condition that must hold for the pod to be ready.",
        [.required("conditionType", .string, "Type of the condition.")])

    static let schedulingGate = APIObjectType(
        .core, "PodSchedulingGate", "Keeps the pod from being scheduled while it is there.",
        [.required("name", .string, "Its name.")])

    static let os = APIObjectType(
        .core, "PodOS", "The system that the containers are made for.",
        [.required("name", .choice(["linux", "windows"]), "`linux` or `windows`.")])

    static let spec = APIObjectType(
        .core, "PodSpec", "What a pod runs, and how.",
        [
            .optional(
                "volumes",
                .list(
                    .object(VolumeTypes.volume),
                    APIListRule(kind: .map(keys: ["name"]), patchStrategy: "merge,retainKeys", patchKey: "name")),
                "Files that containers can mount."),
            .optional(
                "initContainers", .keyed(ContainerTypes.container, by: "name"),
                "Run one after another before the others; those with restart policy `Always` stay."),
            .required("containers", .keyed(ContainerTypes.container, by: "name"), "The programs of the pod; at least one."),
            .optional(
                "restartPolicy", .choice(["Always", "Never", "OnFailure"]), default: "Always",
                "When ended containers start again."),
            .pointer("terminationGracePeriodSeconds", .int64, default: 30, "Seconds between being told to end and being killed."),
            .pointer("activeDeadlineSeconds", .int64, "Seconds that the pod may run."),
            .optional(
                "dnsPolicy", .choice(["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]), default: "ClusterFirst",
                "Where names are looked up."),
            .atomic("nodeSelector", .map(.string), "Labels that the node must have."),
            .optional("serviceAccountName", .string, "The service account to run as."),
            .optional("serviceAccount", .string, "Older name of `serviceAccountName`."),
            .pointer("automountServiceAccountToken", .boolean, "Whether a token is mounted without being asked for."),
            .optional("nodeName", .string, "The node it runs on; set by the scheduler."),
            .optional("hostNetwork", .boolean, "Whether it uses the node's network."),
            .optional("hostPID", .boolean, "Whether it sees the node's processes."),
            .optional("hostIPC", .boolean, "Whether it shares the node's IPC."),
            .pointer("shareProcessNamespace", .boolean, "Whether its containers see each other's processes."),
            .pointer("securityContext", .object(securityContext), default: [:], "How its containers are confined."),
            .optional("imagePullSecrets", .keyed(localObjectReference, by: "name"), "Secrets for fetching images."),
            .optional("hostname", .string, "Host name; the pod's name when empty."),
            .optional("subdomain", .string, "Domain between host name and namespace."),
            .optional("affinity", .object(SchedulingTypes.affinity), "Where it may and better runs."),
            .optional("schedulerName", .string, default: "default-scheduler", "Who schedules it."),
            .optional("tolerations", .list(SchedulingTypes.toleration), "Taints that it bears."),
            .optional("hostAliases", .keyed(hostAlias, by: "ip"), "Lines of its hosts file."),
            .optional("priorityClassName", .string, "Priority class."),
            .pointer("priority", .int32, "Priority, worked out from the class."),
            .optional("dnsConfig", .object(dnsConfig), "Resolver settings."),
            .optional("readinessGates", .list(readinessGate), "Conditions that must hold for it to be ready."),
            .pointer("runtimeClassName", .string, "Runtime class."),
            .pointer("enableServiceLinks", .boolean, "Whether variables tell the Services of the namespace."),
            .pointer("preemptionPolicy", .string, "Whether it may push others aside."),
            .optional("overhead", .map(.quantity), "What it takes besides its containers."),
            .optional(
                "topologySpreadConstraints",
                .keyed(SchedulingTypes.topologySpreadConstraint, by: "topologyKey", "whenUnsatisfiable"),
                "How evenly pods are spread."),
            .pointer("setHostnameAsFQDN", .boolean, "Whether the host name is the full domain name."),
            .optional("os", .object(os), "The system that its containers are made for."),
            .pointer("hostUsers", .boolean, "Whether it uses the node's user IDs."),
            .optional("schedulingGates", .keyed(schedulingGate, by: "name"), "What keeps it from being scheduled."),
            .optional("resources", .object(ContainerTypes.resourceRequirements), "What all its containers need together."),
        ])

    static let templateSpec = APIObjectType(
        .core, "PodTemplateSpec", "How pods are to look that are made from this.",
        [
            .shown("metadata", .object(MetaTypes.objectMeta), "Labels and annotations of the pods."),
            .shown("spec", .object(spec), "What the pods run."),
        ])

    static let pod = APIObjectType.kind(
        .core, "Pod", "Containers that run together on one node.",
        [
            .shown("spec", .object(spec), "What is wanted."),
            .shown("status", .object(PodStatusTypes.status), "What the node found."),
        ])
}
