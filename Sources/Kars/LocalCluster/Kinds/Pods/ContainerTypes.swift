import KarsCore

/// What a container is made of (core/v1 `Container` and everything below).
enum ContainerTypes {
    // MARK: Environment

    static let objectFieldSelector = APIObjectType(
        .core, "ObjectFieldSelector", atomic: true, "A field of the pod itself.",
        [
            .optional("apiVersion", .string, default: "v1", "Version in which the path is meant."),
            .required("fieldPath", .string, "The field, for instance `metadata.name`."),
        ])

    static let resourceFieldSelector = APIObjectType(
        .core, "ResourceFieldSelector", atomic: true, "A request or limit of a container.",
        [
            .optional("containerName", .string, "The container; needed in volumes."),
            .required("resource", .string, "For instance `limits.memory`."),
            .shown("divisor", .quantity, "Unit of the result; 0 is 1."),
        ])

    static let configMapKeySelector = APIObjectType(
        .core, "ConfigMapKeySelector", atomic: true, "One key of a ConfigMap.", keySelector("ConfigMap"))
    static let secretKeySelector = APIObjectType(
        .core, "SecretKeySelector", atomic: true, "One key of a Secret.", keySelector("Secret"))

    private static func keySelector(_ kind: String) -> [APIField] {
        [
            .optional("name", .string, "Name of the \(kind)."),
            .required("key", .string, "Key in its data."),
            .pointer("optional", .boolean, "Whether the \(kind) or its key may be absent."),
        ]
    }

    static let envVarSource = APIObjectType(
        .core, "EnvVarSource", "Where the value of a variable comes from; one of these.",
        [
            .optional("fieldRef", .object(objectFieldSelector), "A field of the pod."),
            .optional("resourceFieldRef", .object(resourceFieldSelector), "A request or limit of a container."),
            .optional("configMapKeyRef", .object(configMapKeySelector), "A key of a ConfigMap."),
            .optional("secretKeyRef", .object(secretKeySelector), "A key of a Secret."),
        ])

    static let envVar = APIObjectType(
        .core, "EnvVar", "One environment variable.",
        [
            .required("name", .string, "Name; anything printable but `=`."),
            .optional("value", .string, "Text; `$(NAME)` stands for variables before it."),
            .optional("valueFrom", .object(envVarSource), "Where the value comes from, instead of `value`."),
        ])

    static let envFromSource = APIObjectType(
        .core, "EnvFromSource", "A variable for each key of a ConfigMap or Secret.",
        [
            .optional("prefix", .string, "Goes before each name."),
            .optional("configMapRef", .object(envSource("ConfigMap")), "The ConfigMap."),
            .optional("secretRef", .object(envSource("Secret")), "The Secret."),
        ])

    private static func envSource(_ kind: String) -> APIObjectType {
        APIObjectType(
            .core, "\(kind)EnvSource", "A \(kind) whose keys become variables.",
            [
                .optional("name", .string, "Name of the \(kind)."),
                .pointer("optional", .boolean, "Whether the \(kind) may be absent."),
            ])
    }

    // MARK: Probes and hooks

    static let execAction = APIObjectType(
        .core, "ExecAction", "Runs a command in the container.",
        [.optional("command", .list(.string), "The command and its arguments; no shell. Exit code 0 is success.")])

    static let httpHeader = APIObjectType(
        .core, "HTTPHeader", "A header to send.",
        [.required("name", .string, "Name of the header."), .required("value", .string, "Its value.")])

    static let httpGetAction = APIObjectType(
        .core, "HTTPGetAction", "Sends a GET request; 200 to 399 is success.",
        [
            .optional("path", .string, "Path to ask for; `/` when empty."),
            .required("port", .intOrString, "Number or name of the port."),
            .optional("host", .string, "Host to connect to; the pod's address when empty."),
            .optional("scheme", .choice(["HTTP", "HTTPS"]), "`HTTP` or `HTTPS`."),
            .optional("httpHeaders", .list(httpHeader), "Headers to send."),
        ])

    static let tcpSocketAction = APIObjectType(
        .core, "TCPSocketAction", "Opens a connection; that it opens is success.",
        [
            .required("port", .intOrString, "Number or name of the port."),
            .optional("host", .string, "Host to connect to; the pod's address when empty."),
        ])

    static let grpcAction = APIObjectType(
        .core, "GRPCAction", "Calls the gRPC health service.",
        [
            .required("port", .int32, "Number of the port."),
            .pointer("service", .string, default: "", "Service to ask about."),
        ])

    private static let handlers: [APIField] = [
        .optional("exec", .object(execAction), "A command."),
        .optional("httpGet", .object(httpGetAction), "A GET request."),
        .optional("tcpSocket", .object(tcpSocketAction), "A connection."),
    ]

    static let probe = APIObjectType(
        .core, "Probe", "A check that is repeated while the container runs.",
        handlers + [
            .optional("grpc", .object(grpcAction), "A call of the gRPC health service."),
            .optional("initialDelaySeconds", .int32, "Seconds from the start of the container to the first check."),
            .optional("timeoutSeconds", .int32, default: 1, "Seconds that one check may take."),
            .optional("periodSeconds", .int32, default: 10, "Seconds between checks."),
            .optional("successThreshold", .int32, default: 1, "Successes in a row that count as healthy again."),
            .optional("failureThreshold", .int32, default: 3, "Failures in a row that count as unhealthy."),
            .pointer("terminationGracePeriodSeconds", .int64, "Grace period when this probe ends the container."),
        ])

    static let sleepAction = APIObjectType(
        .core, "SleepAction", "Waits.", [.required("seconds", .int64, "How many seconds.")])

    static let lifecycleHandler = APIObjectType(
        .core, "LifecycleHandler", "What a hook does; one of these.",
        handlers + [.optional("sleep", .object(sleepAction), "A pause.")])

    static let lifecycle = APIObjectType(
        .core, "Lifecycle", "What to do when a container starts and before it ends.",
        [
            .optional("postStart", .object(lifecycleHandler), "Right after the start; failure ends the container."),
            .optional("preStop", .object(lifecycleHandler), "Before the container is told to end, within the grace period."),
            .pointer("stopSignal", .string, "The signal that tells the container to end."),
        ])

    // MARK: Resources and security

    static let resourceClaim = APIObjectType(
        .core, "ResourceClaim", "A claim of the pod that a container uses.",
        [.required("name", .string, "Name in the pod's claims."), .optional("request", .string, "Name of a request within.")])

    static let resourceRequirements = APIObjectType(
        .core, "ResourceRequirements", "What a container needs and may use at most.",
        [
            .optional("limits", .map(.quantity), "The most it may use."),
            .optional("requests", .map(.quantity), "What is reserved for it; the limits when absent."),
            .optional("claims", .keyed(resourceClaim, by: "name"), "Claims it uses."),
        ])

    static let capabilities = APIObjectType(
        .core, "Capabilities", "POSIX capabilities of a container.",
        [.optional("add", .list(.string), "To add."), .optional("drop", .list(.string), "To take away; `ALL` for all.")])

    static let seLinuxOptions = APIObjectType(
        .core, "SELinuxOptions", "An SELinux label.",
        [
            .optional("user", .string, "User part."), .optional("role", .string, "Role part."),
            .optional("type", .string, "Type part."), .optional("level", .string, "Level part."),
        ])

    static let windowsOptions = APIObjectType(
        .core, "WindowsSecurityContextOptions", "Settings of Windows containers.",
        [
            .pointer("gmsaCredentialSpecName", .string, "Name of the credential specification."),
            .pointer("gmsaCredentialSpec", .string, "The credential specification itself."),
            .pointer("runAsUserName", .string, "User to run as."),
            .pointer("hostProcess", .boolean, "Whether to run as a process of the host."),
        ])

    static let seccompProfile = profile("SeccompProfile", "Which system calls are allowed.")
    static let appArmorProfile = profile("AppArmorProfile", "Which AppArmor profile confines the processes.")

    private static func profile(_ name: String, _ description: String) -> APIObjectType {
        APIObjectType(
            .core, name, description,
            [
                .required("type", .choice(["Localhost", "RuntimeDefault", "Unconfined"]), "Which kind of profile."),
                .pointer("localhostProfile", .string, "Name of a profile on the node, for `Localhost`."),
            ])
    }

    static let securityContext = APIObjectType(
        .core, "SecurityContext", "How a container is confined; goes before the pod's settings.",
        [
            .optional("capabilities", .object(capabilities), "Capabilities to add and drop."),
            .pointer("privileged", .boolean, "Whether it runs with everything allowed."),
            .optional("seLinuxOptions", .object(seLinuxOptions), "SELinux label."),
            .optional("windowsOptions", .object(windowsOptions), "Windows settings."),
            .pointer("runAsUser", .int64, "User to run as."),
            .pointer("runAsGroup", .int64, "Group to run as."),
            .pointer("runAsNonRoot", .boolean, "Refuses to run as root."),
            .pointer("readOnlyRootFilesystem", .boolean, "Whether the image's files cannot be written."),
            .pointer("allowPrivilegeEscalation", .boolean, "Whether processes may gain rights beyond their parent's."),
            .pointer("procMount", .choice(["Default", "Unmasked"]), "How `/proc` is mounted."),
            .optional("seccompProfile", .object(seccompProfile), "Which system calls are allowed."),
            .optional("appArmorProfile", .object(appArmorProfile), "Which AppArmor profile confines it."),
        ])

    // MARK: The container

    static let containerPort = APIObjectType(
        .core, "ContainerPort", "A port that the container listens on.",
        [
            .optional("name", .string, "Name that Services and probes may use."),
            .optional("hostPort", .int32, "The same port on the node, if wanted."),
            .required("containerPort", .int32, "Number within the pod."),
            .optional("protocol", .choice(["SCTP", "TCP", "UDP"]), default: "TCP", "`TCP`, `UDP` or `SCTP`."),
            .optional("hostIP", .string, "Address of the node for `hostPort`."),
        ])

    static let volumeMount = APIObjectType(
        .core, "VolumeMount", "Where a volume of the pod appears in the container.",
        [
            .required("name", .string, "Name of the volume."),
            .optional("readOnly", .boolean, "Whether it cannot be written."),
            .pointer(
                "recursiveReadOnly", .string, "Whether mounts below are read-only too: `Disabled`, `IfPossible`, `Enabled`."),
            .required("mountPath", .string, "Path in the container."),
            .optional("subPath", .string, "Path within the volume to mount instead of its root."),
            .pointer("mountPropagation", .string, "How mounts pass between host and container."),
            .optional("subPathExpr", .string, "As `subPath`, with `$(NAME)` for variables."),
        ])

    static let volumeDevice = APIObjectType(
        .core, "VolumeDevice", "Where a block volume appears in the container.",
        [.required("name", .string, "Name of the claim."), .required("devicePath", .string, "Path of the device.")])

    static let containerResizePolicy = APIObjectType(
        .core, "ContainerResizePolicy", "What a change of a resource means for the container.",
        [
            .required("resourceName", .string, "`cpu` or `memory`."),
            .required("restartPolicy", .string, "`NotRequired` or `RestartContainer`."),
        ])

    static let container = APIObjectType(
        .core, "Container", "A program of the pod, with its image and settings.",
        [
            .required("name", .string, "Name, unique within the pod."),
            .optional("image", .string, "Image to run."),
            .optional("command", .list(.string), "What to run instead of the image's entry point; no shell."),
            .optional("args", .list(.string), "Arguments instead of the image's."),
            .optional("workingDir", .string, "Directory to run in instead of the image's."),
            .optional("ports", .keyed(containerPort, by: "containerPort", "protocol"), "Ports it listens on."),
            .optional("envFrom", .list(envFromSource), "Variables from ConfigMaps and Secrets; `env` goes before them."),
            .optional("env", .keyed(envVar, by: "name"), "Environment variables."),
            .shown("resources", .object(resourceRequirements), "What it needs and may use."),
            .optional("resizePolicy", .list(containerResizePolicy), "What changes of resources mean."),
            .pointer("restartPolicy", .string, "`Always` makes an init container a sidecar."),
            .optional("volumeMounts", .keyed(volumeMount, by: "mountPath"), "Volumes that appear in it."),
            .optional("volumeDevices", .keyed(volumeDevice, by: "devicePath"), "Block volumes that appear in it."),
            .optional("livenessProbe", .object(probe), "A failing container is restarted."),
            .optional("readinessProbe", .object(probe), "A failing container gets no traffic."),
            .optional("startupProbe", .object(probe), "Must succeed before the others begin."),
            .optional("lifecycle", .object(lifecycle), "Hooks at its start and end."),
            .optional(
                "terminationMessagePath", .string, default: "/dev/termination-log", "File whose text becomes the exit message."),
            .optional(
                "terminationMessagePolicy", .choice(["FallbackToLogsOnError", "File"]), default: "File",
                "Whether the end of the log may serve as the exit message."),
            .optional("imagePullPolicy", .choice(["Always", "IfNotPresent", "Never"]), "When the image is fetched."),
            .optional("securityContext", .object(securityContext), "How it is confined."),
            .optional("stdin", .boolean, "Whether standard input stays open."),
            .optional("stdinOnce", .boolean, "Whether standard input closes with the first client."),
            .optional("tty", .boolean, "Whether it has a terminal."),
        ])
}
