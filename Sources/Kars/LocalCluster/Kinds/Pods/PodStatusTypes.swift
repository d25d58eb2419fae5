import KarsCore

/// What the node reports of a pod (core/v1 `PodStatus` and everything below).
enum PodStatusTypes {
    static let waiting = APIObjectType(
        .core, "ContainerStateWaiting", "Not running yet.",
        [.optional("reason", .string, "Why, for programs."), .optional("message", .string, "Why, for people.")])

    static let running = APIObjectType(
        .core, "ContainerStateRunning", "Running.", [.shown("startedAt", .time, "Since when.")])

    static let terminated = APIObjectType(
        .core, "ContainerStateTerminated", "Ended.",
        [
            .required("exitCode", .int32, "Exit code."),
            .optional("signal", .int32, "Signal that ended it."),
            .optional("reason", .string, "Why, for programs."),
            .optional("message", .string, "Why, for people."),
            .shown("startedAt", .time, "When it started."),
            .shown("finishedAt", .time, "When it ended."),
            .optional("containerID", .string, "The container that ended."),
        ])

    static let state = APIObjectType(
        .core, "ContainerState", "What a container does; one of these, otherwise waiting.",
        [
            .optional("waiting", .object(waiting), "Not running yet."),
            .optional("running", .object(running), "Running."),
            .optional("terminated", .object(terminated), "Ended."),
        ])

    static let volumeMountStatus = APIObjectType(
        .core, "VolumeMountStatus", "How a volume was mounted.",
        [
            .required("name", .string, "Name of the volume."),
            .required("mountPath", .string, "Path in the container."),
            .optional("readOnly", .boolean, "Whether it cannot be written."),
            .pointer("recursiveReadOnly", .string, "Whether mounts below are read-only too."),
        ])

    static let linuxUser = APIObjectType(
        .core, "LinuxContainerUser", "Whom the first process runs as.",
        [
            .required("uid", .int64, "User."), .required("gid", .int64, "Group."),
            .optional("supplementalGroups", .list(.int64), "Further groups."),
        ])

    static let containerStatus = APIObjectType(
        .core, "ContainerStatus", "How a container is.",
        [
            .required("name", .string, "Name of the container."),
            .shown("state", .object(state), "What it does."),
            .shown("lastState", .object(state), "What it did before its last restart."),
            .required("ready", .boolean, "Whether its readiness probe succeeds."),
            .required("restartCount", .int32, "How often it was restarted."),
            .required("image", .string, "The image it runs."),
            .required("imageID", .string, "Identity of the image."),
            .optional("containerID", .string, "Identity of the container."),
            .pointer("started", .boolean, "Whether its startup probe has succeeded."),
            .optional("allocatedResources", .map(.quantity), "What the node reserves for it."),
            .optional("resources", .object(ContainerTypes.resourceRequirements), "What is in force."),
            .optional("volumeMounts", .keyed(volumeMountStatus, by: "mountPath"), "How its volumes were mounted."),
            .optional(
                "user",
                .object(
                    APIObjectType(
                        .core, "ContainerUser", "Whom the first process runs as.",
                        [.optional("linux", .object(linuxUser), "On Linux.")])),
                "Whom the first process runs as."),
            .pointer("stopSignal", .string, "The signal that tells it to end."),
        ])

    static let condition = APIObjectType(
        .core, "PodCondition", "One aspect of a pod's state.",
        [
            .required("type", .string, "Which aspect."),
            .optional("observedGeneration", .int64, "The generation that was looked at."),
            .required("status", .string, "`True`, `False` or `Unknown`."),
            .shown("lastProbeTime", .time, "When it was last looked at."),
            .shown("lastTransitionTime", .time, "When `status` last changed."),
            .optional("reason", .string, "Why, for programs."),
            .optional("message", .string, "Why, for people."),
        ])

    private static func address(_ name: String, _ description: String) -> APIObjectType {
        APIObjectType(.core, name, description, [.required("ip", .string, "The address.")])
    }

    static let status = APIObjectType(
        .core, "PodStatus", "How a pod is.",
        [
            .optional("observedGeneration", .int64, "The generation that the node looked at."),
            .optional(
                "phase", .choice(["Failed", "Pending", "Running", "Succeeded", "Unknown"]), "Where it is in its life."),
            .optional("conditions", .keyed(condition, by: "type"), "Aspects of its state."),
            .optional("message", .string, "Why it is so, for people."),
            .optional("reason", .string, "Why it is so, for programs."),
            .optional("nominatedNodeName", .string, "The node it is to run on once others have gone."),
            .optional("hostIP", .string, "Address of the node."),
            .optional(
                "hostIPs",
                .list(
                    .object(address("HostIP", "An address of the node.")),
                    APIListRule(kind: .atomic, patchStrategy: "merge", patchKey: "ip")), "Addresses of the node."),
            .optional("podIP", .string, "Its address."),
            .optional("podIPs", .keyed(address("PodIP", "An address of the pod."), by: "ip"), "Its addresses."),
            .pointer("startTime", .time, "When the node took it."),
            .optional("initContainerStatuses", .list(containerStatus), "How its init containers are."),
            .optional("containerStatuses", .list(containerStatus), "How its containers are."),
            .optional(
                "qosClass", .choice(["BestEffort", "Burstable", "Guaranteed"]), "How it is treated when resources are short."),
            .optional("resize", .string, "No longer used."),
            .optional("allocatedResources", .map(.quantity), "What the node reserves for it."),
            .optional("resources", .object(ContainerTypes.resourceRequirements), "What is in force."),
        ])
}
