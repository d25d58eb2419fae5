/// Ready-made policies for `kars dev --policy`: profile, inference policy and allow list that fit together.
///
/// A preset is a starting point that a person reads and edits, so the profile is text with its reasons in comments.
package enum PolicyPreset: String, CaseIterable, Sendable {
    /// Talk to the model, nothing else: no tool is even offered to it.
    case minimal
    /// Work on files and run the usual programs of a developer in the sandbox; GitHub is the only place outside.
    case developer
    /// As developer, and fetch from the places where code and documentation live.
    case web
    /// As developer, with Azure's AI endpoints and verbs.
    case azure

    package var summary: String {
        switch self {
        case .minimal: "the model and nothing else"
        case .developer: "files, the usual developer's programs, GitHub"
        case .web: "developer, package registries and documentation"
        case .azure: "developer and Azure's AI endpoints"
        }
    }

    /// The AGT profile as YAML, strict, for the sandbox `agent`.
    package func profile(agent: String) -> String {
        // A DNS label by the time it comes here; anything else must not become YAML of its own.
        let name = String(agent.unicodeScalars.filter { ("a"..."z").contains($0) || ("0"..."9").contains($0) || $0 == "-" })
        let head = """
            # kars policy preset "\(rawValue)": \(summary).
            # Higher priority is asked first; at equal priority deny wins. What no rule names is denied.
            version: "2"
            agent: "\(name.isEmpty ? "agent" : name)"
            defaultDecision: deny
            policies:
              - name: inference
                type: capability
                priority: 80
                allowed_actions: ["inference:*", "output:*"]
              - name: inference-rate
                type: rate_limit
                actions: ["inference:*"]
                max_calls: 500
                window: 60s

            """
        return switch self {
        case .minimal: head
        case .developer, .web: head + Self.workspace
        case .azure: head + Self.workspace + Self.azureVerbs
        }
    }

    /// The inference policy with `limits` in it.
    package func inferencePolicy(limits: TokenLimits = .none) -> InferenceRules {
        var policy = InferenceRules(limits: limits, displayName: rawValue)
        if self == .azure {
            // Azure annotates every answer. Shields depend on the deployment's filter, so they are left to the operator.
            for category in SafetyCategory.allCases { policy.contentSafety.ceilings[category] = .medium }
        }
        return policy
    }

    /// Where connections may go, as `host` or `host:port`.
    package var hosts: [String] {
        switch self {
        case .minimal: []
        case .developer: Self.gitHub
        case .web: Self.gitHub + Self.codeAndDocumentation
        case .azure: Self.gitHub + Self.azureEndpoints
        }
    }

    /// The allow list as a file.
    package var allowlist: [UInt8] {
        let endpoints = hosts.map { JSON.object(["host": .string($0), "port": 443]) }
        return JSON.object(["schemaVersion": 1, "endpoints": .array(endpoints)]).encoded(pretty: true)
    }

    // MARK: Hosts

    private static let gitHub = ["github.com", "api.github.com"]
    private static let codeAndDocumentation = [
        "codeload.github.com", "raw.githubusercontent.com", "objects.githubusercontent.com", "pypi.org",
        "files.pythonhosted.org", "registry.npmjs.org", "crates.io", "index.crates.io", "static.crates.io", "proxy.golang.org",
        "sum.golang.org", "rubygems.org", "repo.maven.apache.org", "docs.python.org", "docs.rs", "pkg.go.dev",
        "developer.mozilla.org", "docs.swift.org", "learn.microsoft.com", "kubernetes.io", "datatracker.ietf.org",
        "www.rfc-editor.org", "stackoverflow.com", "*.wikipedia.org", "example.com",
    ]
    // Storage and vault suffixes are left out: a name below them may belong to anyone.
    private static let azureEndpoints = [
        "*.openai.azure.com", "*.services.ai.azure.com", "*.cognitiveservices.azure.com", "login.microsoftonline.com",
        "management.azure.com", "learn.microsoft.com",
    ]

    // MARK: Rules

    private static let workspace = """
          - name: files
            type: capability
            priority: 70
            allowed_actions: ["tool.invoke:*", "tool:read_file", "tool:write_file", "tool:list_files"]
          # Whether the agent may try to connect; the allow list decides where to.
          - name: connections
            type: capability
            priority: 70
            allowed_actions: ["egress:*"]
          - name: no-system-programs
            type: capability
            priority: 100
            denied_actions:
              - "shell:mkfs*"
              - "shell:shutdown"
              - "shell:reboot"
              - "shell:halt"
              - "shell:poweroff"
              - "shell:dd"
              - "shell:mount"
              - "shell:umount"
              - "shell:sudo"
              - "shell:su"
              - "shell:doas"
              - "shell:nsenter"
              - "shell:unshare"
              - "shell:chroot"
              - "shell:iptables*"
              - "shell:ip6tables*"
              - "shell:nft"
          - name: no-network-tools
            type: capability
            priority: 100
            denied_actions: ["shell:nmap", "shell:nc", "shell:ncat", "shell:netcat", "shell:socat", "shell:telnet", "shell:ssh"]
          # Deleting is left to a person; edit this rule to hand it over.
          - name: no-deletion
            type: capability
            priority: 100
            denied_actions: ["shell:rm", "shell:shred", "shell:find -delete", "shell:git clean"]
          - name: shell
            type: capability
            priority: 90
            allowed_actions:
              # looking
              - "shell:ls"
              - "shell:cat"
              - "shell:head"
              - "shell:tail"
              - "shell:wc"
              - "shell:stat"
              - "shell:file"
              - "shell:find"
              - "shell:tree"
              - "shell:du"
              - "shell:df"
              - "shell:pwd"
              - "shell:date"
              - "shell:id"
              - "shell:whoami"
              - "shell:uname"
              - "shell:hostname"
              - "shell:ps"
              - "shell:which"
              - "shell:command"
              - "shell:type"
              - "shell:printenv"
              - "shell:env"
              - "shell:realpath"
              - "shell:readlink"
              - "shell:basename"
              - "shell:dirname"
              # text
              - "shell:echo"
              - "shell:printf"
              - "shell:grep"
              - "shell:egrep"
              - "shell:fgrep"
              - "shell:rg"
              - "shell:sed"
              - "shell:awk"
              - "shell:gawk"
              - "shell:sort"
              - "shell:uniq"
              - "shell:cut"
              - "shell:tr"
              - "shell:tee"
              - "shell:paste"
              - "shell:join"
              - "shell:comm"
              - "shell:fold"
              - "shell:column"
              - "shell:nl"
              - "shell:rev"
              - "shell:diff"
              - "shell:cmp"
              - "shell:patch"
              - "shell:jq"
              - "shell:xargs"
              - "shell:seq"
              - "shell:expr"
              - "shell:base64"
              - "shell:od"
              - "shell:xxd"
              - "shell:md5sum"
              - "shell:sha1sum"
              - "shell:sha256sum"
              # changing files
              - "shell:cd"
              - "shell:mkdir"
              - "shell:rmdir"
              - "shell:touch"
              - "shell:cp"
              - "shell:mv"
              - "shell:ln"
              - "shell:chmod"
              - "shell:mktemp"
              - "shell:tar"
              - "shell:gzip"
              - "shell:gunzip"
              - "shell:zip"
              - "shell:unzip"
              # building and running
              - "shell:git"
              - "shell:make"
              - "shell:cmake"
              - "shell:ninja"
              - "shell:python"
              - "shell:python3"
              - "shell:pip"
              - "shell:pip3"
              - "shell:pytest"
              - "shell:uv"
              - "shell:node"
              - "shell:npm"
              - "shell:npx"
              - "shell:yarn"
              - "shell:pnpm"
              - "shell:tsc"
              - "shell:go"
              - "shell:cargo"
              - "shell:rustc"
              - "shell:gcc"
              - "shell:g++"
              - "shell:cc"
              - "shell:clang"
              - "shell:swift"
              - "shell:java"
              - "shell:javac"
              - "shell:mvn"
              - "shell:gradle"
              - "shell:ruby"
              - "shell:perl"
              - "shell:sh"
              - "shell:bash"
              - "shell:curl"
              - "shell:wget"
              # the shell itself
              - "shell:test"
              - "shell:["
              - "shell:[["
              - "shell:true"
              - "shell:false"
              - "shell::"
              - "shell:sleep"
              - "shell:time"
              - "shell:timeout"
              - "shell:nice"
              - "shell:export"
              - "shell:set"
              - "shell:exit"
              - "shell:wait"
              - "shell:read"

        """

    private static let azureVerbs = """
          - name: azure
            type: capability
            priority: 80
            allowed_actions: ["foundry:*", "image_generation:*", "memory:*"]

        """
}
