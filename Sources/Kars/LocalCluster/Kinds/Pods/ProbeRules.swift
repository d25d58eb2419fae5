import KarsCore

/// Probes and hooks of a container (core `validateProbe`, `validateLifecycle`).
struct ProbeRules {
    let container: JSON
    let isInit: Bool
    let isSidecar: Bool

    func faults(at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        if let lifecycle = container["lifecycle"] {
            if isInit, !isSidecar {
                faults.append(.forbidden("\(path).lifecycle", "may not be set for init containers without restartPolicy=Always"))
            } else {
                for hook in ["postStart", "preStop"] {
                    if let handler = lifecycle[hook] {
                        faults += handlerFaults(
                            handler, ["exec", "httpGet", "tcpSocket", "sleep"], at: "\(path).lifecycle.\(hook)")
                    }
                }
            }
        }
        for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
            guard let probe = container[name] else { continue }
            if isInit, !isSidecar {
                faults.append(.forbidden("\(path).\(name)", "may not be set for init containers without restartPolicy=Always"))
            } else {
                faults += probeFaults(probe, name, at: "\(path).\(name)")
            }
        }
        return faults
    }

    private func probeFaults(_ probe: JSON, _ name: String, at path: String) -> [FieldError] {
        var faults = handlerFaults(probe, ["exec", "httpGet", "tcpSocket", "grpc"], at: path)
        for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
            faults += FieldChecks.nonNegative(probe[field], at: "\(path).\(field)")
        }
        if name == "readinessProbe" {
            if probe["terminationGracePeriodSeconds"] != nil {
                faults.append(
                    .invalid(
                        "\(path).terminationGracePeriodSeconds", probe["terminationGracePeriodSeconds"] ?? .null,
                        "must not be set for readinessProbes"))
            }
        } else {
            if let seconds = probe["terminationGracePeriodSeconds"], let number = seconds.intValue, number <= 0 {
                faults.append(.invalid("\(path).terminationGracePeriodSeconds", seconds, "must be greater than 0"))
            }
            if let threshold = probe["successThreshold"], threshold != 1 {
                faults.append(.invalid("\(path).successThreshold", threshold, "must be 1"))
            }
        }
        return faults
    }

    private func handlerFaults(_ handler: JSON, _ kinds: [String], at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        let given = kinds.filter { handler[$0] != nil }
        for (index, kind) in given.enumerated() {
            let path = "\(path).\(kind)"
            guard index == 0 else {
                faults.append(.forbidden(path, "may not specify more than 1 handler type"))
                continue
            }
            faults += actionFaults(handler[kind] ?? [:], kind, at: path)
        }
        if given.isEmpty { faults.append(.required(path, "must specify a handler type")) }
        return faults
    }

    private func actionFaults(_ action: JSON, _ kind: String, at path: String) -> [FieldError] {
        switch kind {
        case "exec": return (action["command"]?.arrayValue ?? []).isEmpty ? [.required("\(path).command")] : []
        case "httpGet":
            var faults = FieldChecks.required(action["path"], at: "\(path).path")
            faults += FieldChecks.port(action["port"], at: "\(path).port")
            faults += FieldChecks.oneOf(action["scheme"], ["HTTP", "HTTPS"], at: "\(path).scheme")
            for (index, header) in (action["httpHeaders"]?.arrayValue ?? []).enumerated() {
                let name = header["name"]?.stringValue ?? ""
                guard !Self.isHeaderName(name) else { continue }
                faults.append(
                    .invalid(
                        "\(path).httpHeaders[\(index)].name", .string(name),
                        "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
                            + "validation is '[-A-Za-z0-9]+')"))
            }
            return faults
        case "grpc": return FieldChecks.portNumber(action["port"], at: "\(path).port")
        case "sleep": return sleepFaults(action["seconds"], at: path)
        default: return FieldChecks.port(action["port"], at: "\(path).port")
        }
    }

    private func sleepFaults(_ seconds: JSON?, at path: String) -> [FieldError] {
        guard let number = seconds?.intValue, number < 0 else { return [] }
        return [.invalid(path, .int(number), "must be non-negative and less than terminationGracePeriodSeconds")]
    }

    private static func isHeaderName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { $0 == 45 || (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) }
    }
}
