package struct Container: ResourceValue {
    package enum PullPolicy: String, CaseIterable, Sendable {
        case always = "Always"
        case ifNotPresent = "IfNotPresent"
        case never = "Never"
    }

    package var name: String
    package var image: String
    package var imagePullPolicy: PullPolicy?
    /// Replaces the image's entry point; empty: the image's own.
    package var command: [String] = []
    package var args: [String] = []
    package var workingDirectory: String?
    package var ports: [ContainerPort] = []
    package var environment: [EnvironmentVariable] = []
    package var environmentSources: [EnvironmentSource] = []
    package var resources: ResourceRequirements?
    package var volumeMounts: [VolumeMount] = []
    package var livenessProbe: Probe?
    package var readinessProbe: Probe?
    package var startupProbe: Probe?
    package var securityContext: ContainerSecurityContext?
    /// Among init containers: it stays, starts before the containers and ends after them (KEP-753).
    package var isSidecar = false

    package init(name: String, image: String, command: [String] = [], args: [String] = []) {
        self.name = name
        self.image = image
        self.command = command
        self.args = args
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        name = try reader.requiredText("name")
        image = try reader.requiredText("image")
        imagePullPolicy = try reader.choice("imagePullPolicy")
        command = try reader.texts("command")
        args = try reader.texts("args")
        workingDirectory = try reader.text("workingDir")
        ports = try reader.list("ports")
        environment = try reader.list("env")
        environmentSources = try reader.list("envFrom")
        resources = try reader.object("resources")
        volumeMounts = try reader.list("volumeMounts")
        livenessProbe = try reader.object("livenessProbe")
        readinessProbe = try reader.object("readinessProbe")
        startupProbe = try reader.object("startupProbe")
        securityContext = try reader.object("securityContext")
        if let policy = try reader.text("restartPolicy") {
            guard policy == "Always" else { throw ResourceError(reader.location("restartPolicy"), "expected Always") }
            isSidecar = true
        }
        try reader.finish(ignoring: ["terminationMessagePath", "terminationMessagePolicy"])
    }

    package var json: JSON {
        var writer = ResourceWriter()
        writer.write("name", name)
        writer.write("image", image)
        writer.write("imagePullPolicy", imagePullPolicy?.rawValue)
        writer.write("restartPolicy", isSidecar ? "Always" : nil)
        writer.write("command", texts: command)
        writer.write("args", texts: args)
        writer.write("workingDir", workingDirectory)
        writer.write("ports", list: ports)
        writer.write("env", list: environment)
        writer.write("envFrom", list: environmentSources)
        writer.write("resources", resources)
        writer.write("volumeMounts", list: volumeMounts)
        writer.write("livenessProbe", livenessProbe)
        writer.write("readinessProbe", readinessProbe)
        writer.write("startupProbe", startupProbe)
        writer.write("securityContext", securityContext)
        return writer.json
    }
}

package struct ContainerPort: ResourceValue {
    package var name: String?
    package var containerPort: Int
    package var transport: String?

    package init(name: String? = nil, containerPort: Int, transport: String? = nil) {
        self.name = name
        self.containerPort = containerPort
        self.transport = transport
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        name = try reader.text("name")
        guard let port = try reader.integer("containerPort", in: 1...65_535) else {
            throw ResourceError(reader.location("containerPort"), "is required")
        }
        containerPort = port
        transport = try reader.text("protocol")
        try reader.finish()
    }

    package var json: JSON {
        var writer = ResourceWriter()
        writer.write("name", name)
        writer.write("containerPort", containerPort)
        writer.write("protocol", transport)
        return writer.json
    }
}

/// One variable: a text, or where to take it from.
package struct EnvironmentVariable: ResourceValue {
    package enum Source: Equatable, Sendable {
        case text(String)
        case secretKey(name: String, key: String, optional: Bool)
        case configMapKey(name: String, key: String, optional: Bool)
        /// A field of the pod, for instance `metadata.name`.
        case field(String)
    }

    package var name: String
    package var source: Source

    package init(_ name: String, _ text: String) {
        self.name = name
        source = .text(text)
    }

    package init(_ name: String, from source: Source) {
        self.name = name
        self.source = source
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        name = try reader.requiredText("name")
        let text = try reader.text("value")
        if let from = reader.value("valueFrom") {
            guard text == nil else { throw ResourceError(path, "has both value and valueFrom") }
            source = try Self.source(from, at: reader.location("valueFrom"))
        } else {
            source = .text(text ?? "")
        }
        try reader.finish()
    }

    private static func source(_ json: JSON, at path: String) throws(ResourceError) -> Source {
        var reader = try ResourceReader(json, at: path)
        var source: Source?
        if let secret = reader.value("secretKeyRef") {
            let (name, key, optional) = try reference(secret, at: reader.location("secretKeyRef"))
            source = .secretKey(name: name, key: key, optional: optional)
        } else if let map = reader.value("configMapKeyRef") {
            let (name, key, optional) = try reference(map, at: reader.location("configMapKeyRef"))
            source = .configMapKey(name: name, key: key, optional: optional)
        } else if let field = reader.value("fieldRef") {
            var fieldReader = try ResourceReader(field, at: reader.location("fieldRef"))
            source = .field(try fieldReader.requiredText("fieldPath"))
            try fieldReader.finish(ignoring: ["apiVersion"])
        }
        try reader.finish()
        guard let source else { throw ResourceError(path, "expected secretKeyRef, configMapKeyRef or fieldRef") }
        return source
    }

    private static func reference(_ json: JSON, at path: String) throws(ResourceError) -> (String, String, Bool) {
        var reader = try ResourceReader(json, at: path)
        let reference = (try reader.requiredText("name"), try reader.requiredText("key"), try reader.flag("optional") ?? false)
        try reader.finish()
        return reference
    }

    package var json: JSON {
        var writer = ResourceWriter()
        writer.write("name", name)
        switch source {
        case .text(let text): writer.write("value", text)
        case .secretKey(let name, let key, let optional):
            writer.write("valueFrom", json: ["secretKeyRef": Self.reference(name, key, optional)])
        case .configMapKey(let name, let key, let optional):
            writer.write("valueFrom", json: ["configMapKeyRef": Self.reference(name, key, optional)])
        case .field(let path): writer.write("valueFrom", json: ["fieldRef": ["fieldPath": .string(path)]])
        }
        return writer.json
    }

    private static func reference(_ name: String, _ key: String, _ optional: Bool) -> JSON {
        var writer = ResourceWriter()
        writer.write("name", name)
        writer.write("key", key)
        writer.write("optional", optional ? true : nil)
        return writer.json
    }
}

/// All keys of a Secret or ConfigMap as variables.
package struct EnvironmentSource: ResourceValue {
    package enum Kind: Equatable, Sendable { case secret, configMap }

    package var kind: Kind
    package var name: String
    package var optional: Bool

    package init(kind: Kind, name: String, optional: Bool) {
        self.kind = kind
        self.name = name
        self.optional = optional
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        let secret = reader.value("secretRef"), map = reader.value("configMapRef")
        try reader.finish()
        guard let chosen = secret ?? map, secret == nil || map == nil else {
            throw ResourceError(path, "expected secretRef or configMapRef")
        }
        kind = secret != nil ? .secret : .configMap
        var reference = try ResourceReader(chosen, at: reader.location(kind == .secret ? "secretRef" : "configMapRef"))
        name = try reference.requiredText("name")
        optional = try reference.flag("optional") ?? false
        try reference.finish()
    }

    package var json: JSON {
        var reference = ResourceWriter()
        reference.write("name", name)
        reference.write("optional", optional ? true : nil)
        return [kind == .secret ? "secretRef" : "configMapRef": reference.json]
    }
}

/// An HTTP, TCP or command check of a container, with Kubernetes' defaults.
package struct Probe: ResourceValue {
    package enum Check: Equatable, Sendable {
        case command([String])
        /// GET on the pod's loopback; 200 to 399 passes.
        case http(path: String, port: Int, secure: Bool)
        case tcp(port: Int)
    }

    package var check: Check
    package var initialDelaySeconds = 0
    package var periodSeconds = 10
    package var timeoutSeconds = 1
    package var successThreshold = 1
    package var failureThreshold = 3

    package init(
        _ check: Check, initialDelaySeconds: Int = 0, periodSeconds: Int = 10, timeoutSeconds: Int = 1, failureThreshold: Int = 3
    ) {
        self.check = check
        self.initialDelaySeconds = initialDelaySeconds
        self.periodSeconds = periodSeconds
        self.timeoutSeconds = timeoutSeconds
        self.failureThreshold = failureThreshold
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        if let exec = reader.value("exec") {
            var inner = try ResourceReader(exec, at: reader.location("exec"))
            check = .command(try inner.texts("command"))
            try inner.finish()
        } else if let get = reader.value("httpGet") {
            var inner = try ResourceReader(get, at: reader.location("httpGet"))
            let target = try inner.text("path") ?? "/"
            guard let port = try inner.integer("port", in: 1...65_535) else {
                throw ResourceError(inner.location("port"), "is required, as a number")
            }
            let scheme = try inner.text("scheme") ?? "HTTP"
            // Checks are made on the pod's loopback whatever the host says, so that a probe reaches nothing else.
            try inner.finish(ignoring: ["host"])
            check = .http(path: target, port: port, secure: scheme == "HTTPS")
        } else if let socket = reader.value("tcpSocket") {
            var inner = try ResourceReader(socket, at: reader.location("tcpSocket"))
            guard let port = try inner.integer("port", in: 1...65_535) else {
                throw ResourceError(inner.location("port"), "is required, as a number")
            }
            check = .tcp(port: port)
            try inner.finish(ignoring: ["host"])
        } else {
            throw ResourceError(path, "expected exec, httpGet or tcpSocket")
        }
        initialDelaySeconds = try reader.integer("initialDelaySeconds", in: 0...86_400) ?? 0
        periodSeconds = try reader.integer("periodSeconds", in: 1...86_400) ?? 10
        timeoutSeconds = try reader.integer("timeoutSeconds", in: 1...86_400) ?? 1
        successThreshold = try reader.integer("successThreshold", in: 1...1_000) ?? 1
        failureThreshold = try reader.integer("failureThreshold", in: 1...1_000) ?? 3
        try reader.finish()
    }

    package var json: JSON {
        var writer = ResourceWriter()
        switch check {
        case .command(let words): writer.write("exec", json: ["command": .array(words.map { .string($0) })])
        case .http(let path, let port, let secure):
            var get = ResourceWriter()
            get.write("path", path)
            get.write("port", port)
            get.write("scheme", secure ? "HTTPS" : "HTTP")
            writer.write("httpGet", json: get.json)
        case .tcp(let port): writer.write("tcpSocket", json: ["port": .number(JSONNumber(port))])
        }
        writer.write("initialDelaySeconds", initialDelaySeconds == 0 ? nil : initialDelaySeconds)
        writer.write("periodSeconds", periodSeconds)
        writer.write("timeoutSeconds", timeoutSeconds)
        writer.write("successThreshold", successThreshold == 1 ? nil : successThreshold)
        writer.write("failureThreshold", failureThreshold)
        return writer.json
    }
}

/// Requests and limits by resource name (`cpu`, `memory`).
package struct ResourceRequirements: ResourceValue {
    package var requests: [String: Quantity] = [:]
    package var limits: [String: Quantity] = [:]

    package init(requests: [String: Quantity] = [:], limits: [String: Quantity] = [:]) {
        self.requests = requests
        self.limits = limits
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        requests = try Self.quantities(reader.value("requests"), at: reader.location("requests"))
        limits = try Self.quantities(reader.value("limits"), at: reader.location("limits"))
        try reader.finish()
    }

    private static func quantities(_ json: JSON?, at path: String) throws(ResourceError) -> [String: Quantity] {
        guard let json else { return [:] }
        guard let object = json.objectValue else { throw ResourceError(path, "expected an object") }
        var quantities: [String: Quantity] = [:]
        for (name, value) in object.members {
            guard let text = value.stringValue ?? value.intValue.map(String.init), let quantity = Quantity(text),
                quantity >= .zero
            else {
                throw ResourceError("\(path).\(name)", "expected a quantity such as 500m or 1Gi")
            }
            quantities[name] = quantity
        }
        return quantities
    }

    package var json: JSON {
        var writer = ResourceWriter()
        writer.write("requests", map: requests.mapValues(\.text))
        writer.write("limits", map: limits.mapValues(\.text))
        return writer.json
    }
}
