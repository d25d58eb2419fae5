import KarsCore

/// Gives each new pod its service account and, unless told not to, a volume with a token that rotates, the cluster's
/// certificate and the namespace's name.
struct ServiceAccountAdmission: AdmissionStep {
    static let mountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
    private static let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")

    var phase: AdmissionPhase { .mutating }

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        guard request.createsPod(old: old), var spec = object["spec"]?.objectValue else { return [] }
        let namespace = request.namespace ?? ""
        let name = spec["serviceAccountName"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 } ?? "default"
        guard let account = await account(name, in: namespace, reader) else {
            throw .forbidden(
                request.resource, name: object.name,
                "error looking up service account \(namespace)/\(name): serviceaccount \"\(name)\" not found")
        }
        spec["serviceAccountName"] = .string(name)
        spec["serviceAccount"] = .string(name)
        if (spec["imagePullSecrets"]?.arrayValue ?? []).isEmpty, let secrets = account["imagePullSecrets"] {
            spec["imagePullSecrets"] = secrets
        }
        let wantsToken =
            spec["automountServiceAccountToken"]?.boolValue ?? account["automountServiceAccountToken"]?.boolValue ?? true
        if wantsToken { Self.mountToken(in: &spec) }
        object["spec"] = .object(spec)
        return []
    }

    /// Whoever makes a namespace and a pod right after it is faster than the controller that gives each namespace its
    /// account `default`: that one is waited for, up to a second, as Kubernetes does.
    private func account(_ name: String, in namespace: String, _ reader: any ObjectReader) async -> JSONObject? {
        for _ in 0..<(name == "default" ? 10 : 1) {
            if let account = reader.get(ServiceAccountTokens.serviceAccounts, namespace: namespace, name: name) { return account }
            if name == "default" { try? await Task.sleep(for: .milliseconds(100)) }
        }
        return nil
    }

    /// Into every container that has nothing at the place already.
    private static func mountToken(in spec: inout JSONObject) {
        var suffix = ""
        for _ in 0..<5 { suffix.append(alphabet.randomElement() ?? "x") }
        let volume = "kube-api-access-\(suffix)"
        var isUsed = false
        for list in ["initContainers", "containers"] {
            guard let containers = spec[list]?.arrayValue else { continue }
            spec[list] = .array(
                containers.map { container in
                    guard var container = container.objectValue else { return container }
                    let mounts = container["volumeMounts"]?.arrayValue ?? []
                    guard !mounts.contains(where: { $0["mountPath"]?.stringValue == mountPath }) else {
                        return .object(container)
                    }
                    let mount: JSON = ["name": .string(volume), "readOnly": true, "mountPath": .string(mountPath)]
                    container["volumeMounts"] = .array(mounts + [mount])
                    isUsed = true
                    return .object(container)
                })
        }
        guard isUsed else { return }
        let projected: JSON = [
            "sources": [
                ["serviceAccountToken": ["expirationSeconds": 3607, "path": "token"]],
                ["configMap": ["name": "kube-root-ca.crt", "items": [["key": "ca.crt", "path": "ca.crt"]]]],
                [
                    "downwardAPI": [
                        "items": [["path": "namespace", "fieldRef": ["apiVersion": "v1", "fieldPath": "metadata.namespace"]]]
                    ]
                ],
            ], "defaultMode": 420,
        ]
        spec["volumes"] = .array((spec["volumes"]?.arrayValue ?? []) + [["name": .string(volume), "projected": projected]])
    }
}

/// How long a pod stays on a node that has gone silent: five minutes, unless it says otherwise.
struct DefaultTolerations: AdmissionStep {
    var phase: AdmissionPhase { .mutating }

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        guard request.createsPod(old: old), var spec = object["spec"]?.objectValue else { return [] }
        var tolerations = spec["tolerations"]?.arrayValue ?? []
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            let isTolerated = tolerations.contains { toleration in
                let own = toleration["key"]?.stringValue ?? ""
                let effect = toleration["effect"]?.stringValue ?? ""
                return (own.isEmpty || own == key) && (effect.isEmpty || effect == "NoExecute")
            }
            if !isTolerated {
                tolerations.append(
                    ["key": .string(key), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300])
            }
        }
        spec["tolerations"] = .array(tolerations)
        object["spec"] = .object(spec)
        return []
    }
}
