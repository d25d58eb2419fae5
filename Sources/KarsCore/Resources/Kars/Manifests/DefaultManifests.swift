/// What a new installation begins with; its owner may change all of it, and installing again leaves it alone.
package enum DefaultManifests {
    package static func all(_ config: ManifestConfig) -> [Manifest] {
        var metadata = ObjectMetadata(
            name: ToolPolicy.defaultName, namespace: config.namespace, labels: ManifestConfig.labels("policy"),
            annotations: ["kars.azure.com/profile": "general"])
        metadata.labels["kars.azure.com/system-default"] = "true"
        return [
            Manifest(
                ToolPolicy.kind.resource, kind: "ToolPolicy", metadata,
                [
                    "spec": [
                        "appliesTo": ["tool": "*", "sandboxMatchLabels": ["kars.azure.com/component": "sandbox"]],
                        "displayName": "Default for sandboxes that name no policy", "agtProfile": ["inline": .string(profile)],
                    ]
                ]
            ).seed()
        ]
    }

    /// What a general agent does all day, minus what would be a way out of its sandbox (spec/controller 15.2).
    package static let profile = """
        # Higher priority is asked first; at equal priority deny wins. What no rule names is denied.
        version: "1.0"
        agent: kars-default
        policies:
          - name: no-system-programs
            type: capability
            priority: 100
            denied_actions:
              - "shell:rm"
              - "shell:mkfs*"
              - "shell:shutdown"
              - "shell:reboot"
              - "shell:dd"
              - "shell:nmap"
              - "shell:nc"
              - "shell:netcat"
              - "shell:socat"
              - "shell:nsenter"
              - "shell:unshare"
              - "shell:chroot"
          - name: safe-programs
            type: capability
            priority: 90
            allowed_actions:
              - "shell:ls"
              - "shell:cat"
              - "shell:head"
              - "shell:tail"
              - "shell:wc"
              - "shell:grep"
              - "shell:find"
              - "shell:sort"
              - "shell:uniq"
              - "shell:cut"
              - "shell:tr"
              - "shell:sed"
              - "shell:awk"
              - "shell:jq"
              - "shell:echo"
              - "shell:pwd"
              - "shell:date"
              - "shell:python3"
              - "shell:node"
              - "shell:git"
              - "shell:curl"
          - name: platform
            type: capability
            priority: 80
            allowed_actions: ["inference:*", "image_generation:*", "output:*", "foundry:*", "spawn:*", "mesh:*"]
          - name: connections
            type: capability
            priority: 80
            allowed_actions: ["egress:*"]
          - name: tools
            type: capability
            priority: 70
            allowed_actions: ["tool:*", "tool.invoke:*"]
          - name: bulk-changes
            type: approval
            priority: 60
            actions: ["admin:bulk*", "admin:promote*"]
            min_approvals: 1
          - name: administration
            type: capability
            priority: 50
            allowed_actions: ["admin:*"]
          - name: inference-rate
            type: rate_limit
            priority: 40
            actions: ["inference:*"]
            max_calls: 500
            window: 60s

        """
}
