import KarsCore

/// Volumes of pods (core/v1 `Volume` and everything below): those that the node can provide, and claims, which users'
/// manifests have.
enum VolumeTypes {
    static let keyToPath = APIObjectType(
        .core, "KeyToPath", "One key and the file it becomes.",
        [
            .required("key", .string, "The key."),
            .required("path", .string, "Relative path of the file."),
            .pointer("mode", .int32, "Permission bits of the file."),
        ])

    private static let fileMode = APIField.pointer(
        "defaultMode", .int32, default: 420, "Permission bits of files that name none; YAML may write them in octal.")

    static let secret = APIObjectType(
        .core, "SecretVolumeSource", "Files from a Secret.",
        [
            .optional("secretName", .string, "Name of the Secret."),
            .optional("items", .list(keyToPath), "Which keys become files; all when empty."),
            fileMode,
            .pointer("optional", .boolean, "Whether the Secret or its keys may be absent."),
        ])

    static let configMap = APIObjectType(
        .core, "ConfigMapVolumeSource", "Files from a ConfigMap.",
        [
            .optional("name", .string, "Name of the ConfigMap."),
            .optional("items", .list(keyToPath), "Which keys become files; all when empty."),
            fileMode,
            .pointer("optional", .boolean, "Whether the ConfigMap or its keys may be absent."),
        ])

    static let downwardFile = APIObjectType(
        .core, "DownwardAPIVolumeFile", "A file with something about the pod.",
        [
            .required("path", .string, "Relative path of the file."),
            .optional("fieldRef", .object(ContainerTypes.objectFieldSelector), "A field of the pod."),
            .optional("resourceFieldRef", .object(ContainerTypes.resourceFieldSelector), "A request or limit of a container."),
            .pointer("mode", .int32, "Permission bits of the file."),
        ])

    static let downward = APIObjectType(
        .core, "DownwardAPIVolumeSource", "Files about the pod itself.",
        [.optional("items", .list(downwardFile), "The files."), fileMode])

    static let emptyDir = APIObjectType(
        .core, "EmptyDirVolumeSource", "A directory that lives as long as the pod.",
        [
            .optional("medium", .string, "`Memory` for a file system in memory."),
            .pointer("sizeLimit", .quantity, "How much it may hold."),
        ])

    static let hostPath = APIObjectType(
        .core, "HostPathVolumeSource", "A file or directory of the node.",
        [
            .required("path", .string, "Path on the node."),
            .pointer("type", .string, default: "", "What must be there; empty: no check."),
        ])

    static let claim = APIObjectType(
        .core, "PersistentVolumeClaimVolumeSource", "A PersistentVolumeClaim of the namespace.",
        [.required("claimName", .string, "Name of the claim."), .optional("readOnly", .boolean, "Whether it cannot be written.")])

    // MARK: Projected

    static let serviceAccountToken = APIObjectType(
        .core, "ServiceAccountTokenProjection", "A token of the pod's service account, renewed in time.",
        [
            .optional("audience", .string, "Whom the token is for; the API server when empty."),
            .pointer("expirationSeconds", .int64, default: 3600, "How long a token lasts."),
            .required("path", .string, "Relative path of the file."),
        ])

    private static func projection(_ kind: String) -> APIObjectType {
        APIObjectType(
            .core, "\(kind)Projection", "Files from a \(kind).",
            [
                .optional("name", .string, "Name of the \(kind)."),
                .optional("items", .list(keyToPath), "Which keys become files; all when empty."),
                .pointer("optional", .boolean, "Whether the \(kind) or its keys may be absent."),
            ])
    }

    static let volumeProjection = APIObjectType(
        .core, "VolumeProjection", "One source of a projected volume; one of these.",
        [
            .optional("secret", .object(projection("Secret")), "Files from a Secret."),
            .optional(
                "downwardAPI",
                .object(
                    APIObjectType(
                        .core, "DownwardAPIProjection", "Files about the pod.",
                        [.optional("items", .list(downwardFile), "The files.")])),
                "Files about the pod."),
            .optional("configMap", .object(projection("ConfigMap")), "Files from a ConfigMap."),
            .optional("serviceAccountToken", .object(serviceAccountToken), "A token of the pod's service account."),
        ])

    static let projected = APIObjectType(
        .core, "ProjectedVolumeSource", "Several sources in one directory.",
        [.shown("sources", .list(volumeProjection), "The sources."), fileMode])

    static let volume = APIObjectType(
        .core, "Volume", "Files that containers of the pod can mount; one source each.",
        [
            .required("name", .string, "Name, unique within the pod."),
            .optional("hostPath", .object(hostPath), "A file or directory of the node."),
            .optional("emptyDir", .object(emptyDir), "A directory that lives as long as the pod."),
            .optional("secret", .object(secret), "Files from a Secret."),
            .optional("persistentVolumeClaim", .object(claim), "A claim."),
            .optional("downwardAPI", .object(downward), "Files about the pod."),
            .optional("configMap", .object(configMap), "Files from a ConfigMap."),
            .optional("projected", .object(projected), "Several sources in one directory."),
        ])
}
