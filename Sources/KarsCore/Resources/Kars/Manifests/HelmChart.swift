/// The Helm chart: the same manifests, with the places where installations differ left open.
///
/// They are generated with marks in those places and the marks replaced by template expressions, so that chart and `kars install` cannot
/// drift apart.
package enum HelmChart {
    package struct File: Sendable, Equatable {
        /// Below the chart's directory.
        package var path: String
        package var text: String
    }

    package static let version = "0.1.0"

    package static let files: [File] =
        [File(path: "Chart.yaml", text: chart), File(path: "values.yaml", text: values)]
        + KarsManifests.part(.definitions).map { File(path: "crds/\($0.object.name).yaml", text: YAML.emit(.object($0.object))) }
        + [
            template("rbac", .access), template("admission", .admission),
            File(path: "templates/operator.yaml", text: text(ControllerManifests.all(marks))),
            template("defaults", .defaults),
            File(
                path: "templates/sre.yaml",
                text: "{{- if .Values.sre.enabled }}\n" + text(KarsManifests.part(.sre, marks)) + "{{- end }}\n"),
        ]

    private static let chart = """
        apiVersion: v2
        name: kars
        description: Runs AI agents in hardened sandboxes.
        type: application
        version: \(version)
        appVersion: \(version)
        kubeVersion: ">=1.30.0-0"

        """

    private static let values = """
        # The namespace is the release's: helm install kars charts/kars --namespace kars-system --create-namespace
        image: \(ManifestConfig().image)
        # Registry and path before the names of adapter images.
        adapterPrefix: ""
        controller:
          replicas: \(ManifestConfig().replicas)
        egress:
          # Refuse allow lists that nobody signed.
          requireSigned: false
        egressApproval:
          maxTtlSeconds: \(ManifestConfig().maxApprovalSeconds)
        sre:
          # What the repair agent needs.
          enabled: false

        """

    private static func template(_ name: String, _ part: ManifestPart) -> File {
        File(path: "templates/\(name).yaml", text: text(KarsManifests.part(part, marks)))
    }

    // MARK: Marks

    /// Words and numbers that occur nowhere else.
    private static let marks: ManifestConfig = {
        var config = ManifestConfig()
        config.namespace = "kars-release-namespace"
        config.image = "kars-image-value"
        config.adapterPrefix = "kars-adapter-prefix-value"
        config.replicas = 987_001
        config.maxApprovalSeconds = 987_002
        return config
    }()

    private static let expressions: [(mark: String, expression: String)] = [
        // The one variable with a truth value.
        ("value: \"false\"", "value: {{ .Values.egress.requireSigned | quote }}"),
        ("kars-release-namespace", "{{ .Release.Namespace }}"), ("kars-image-value", "{{ .Values.image }}"),
        ("kars-adapter-prefix-value", "{{ .Values.adapterPrefix | quote }}"), ("987001", "{{ .Values.controller.replicas }}"),
        ("987002", "{{ .Values.egressApproval.maxTtlSeconds | int }}"),
    ]

    private static func text(_ manifests: [Manifest]) -> String {
        var text = YAML.emit(manifests.map { .object($0.object) })
        precondition(!text.contains("{{"), "a manifest has what Helm takes for an expression")
        for (mark, expression) in expressions { text = text.replacing(mark, with: expression) }
        return text
    }
}
