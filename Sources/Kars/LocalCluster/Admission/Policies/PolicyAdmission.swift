import KarsCore
import Synchronization

/// Enforces ValidatingAdmissionPolicies where their bindings say so (admissionregistration/v1, KEP-3488).
///
/// Policies and their bindings themselves are exempt, so that a policy that refuses everything can be removed.
final class PolicyAdmission: AdmissionStep {
    private static let group = "admissionregistration.k8s.io"
    private static let policies = GroupVersionResource(group: group, version: "v1", resource: "validatingadmissionpolicies")
    private static let bindings = GroupVersionResource(
        group: group, version: "v1", resource: "validatingadmissionpolicybindings")

    private let authorizer: any Authorizer
    private let log: Log
    private let compiled = Mutex<[String: Entry]>([:])

    /// A policy as it was at one revision.
    private struct Entry {
        var revision: String?
        var policy: CompiledPolicy?
    }

    init(authorizer: any Authorizer, log: Log) {
        self.authorizer = authorizer
        self.log = log
    }

    var phase: AdmissionPhase { .validating }

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        guard request.resource.group != Self.group else { return [] }
        let policies = reader.list(Self.policies, namespace: nil)
        guard !policies.isEmpty else { return [] }
        let bindings = Dictionary(grouping: reader.list(Self.bindings, namespace: nil)) { binding in
            binding["spec"]?["policyName"]?.stringValue ?? ""
        }
        let namespace = request.namespace.flatMap { reader.get(NamespaceLifecycle.namespaces, namespace: nil, name: $0) }
        let operation = AdmissionOperation(request, old: old)
        let subject = Subject(
            inputs: PolicyInputs(
                request: request, operation: operation, object: object, old: old, namespace: namespace, authorizer: authorizer),
            match: Self.match(operation, request, object, old, namespace, reader), parameters: PolicyParameters(reader: reader))
        var outcome = Outcome()
        for policy in policies.sorted(by: { $0.name < $1.name }) {
            guard let bindings = bindings[policy.name] else { continue }
            enforce(policy, bindings.sorted { $0.name < $1.name }, subject, &outcome)
        }
        if let denial = outcome.denials.first { throw denial.status(request, object) }
        return outcome.warnings
    }

    /// A request with what matching and evaluation need of it.
    private struct Subject {
        let inputs: PolicyInputs
        let match: PolicyMatch.Subject
        let parameters: PolicyParameters
    }

    private static func match(
        _ operation: AdmissionOperation, _ request: RequestInfo, _ object: JSONObject, _ old: JSONObject?,
        _ namespace: JSONObject?, _ reader: any ObjectReader
    ) -> PolicyMatch.Subject {
        let isNamespace = request.resource.group.isEmpty && request.resource.resource == "namespaces"
        return PolicyMatch.Subject(
            operation: operation, resources: PolicyParameters(reader: reader).versions(of: request.resource),
            subresource: request.subresource, name: object.name, namespace: isNamespace ? nil : request.namespace,
            namespaceLabels: isNamespace ? object.labels : namespace?.labels,
            labels: [object.labels] + (old.map { [$0.labels] } ?? []))
    }

    // MARK: - One policy

    private struct Outcome {
        var denials: [Denial] = []
        var warnings: [String] = []
    }

    /// A refusal in the words of the real server.
    private struct Denial {
        var policy: String
        var binding: String?
        var violation: CompiledPolicy.Violation

        func status(_ request: RequestInfo, _ object: JSONObject) -> APIStatus {
            let place = binding.map { " with binding '\($0)'" } ?? ""
            let message = "ValidatingAdmissionPolicy '\(policy)'\(place) denied request: \(violation.message)"
            let name = object.name.isEmpty ? request.name : object.name
            var status = APIStatus.forbidden(request.resource, name: name, message)
            status.reason = violation.reason
            status.code =
                switch violation.reason {
                case .forbidden: 403
                case .unauthorized: 401
                case .requestEntityTooLarge: 413
                default: 422
                }
            status.causes = [APIStatus.Cause(reason: "", message: message)]
            return status
        }
    }

    private func enforce(_ policy: JSONObject, _ bindings: [JSONObject], _ subject: Subject, _ outcome: inout Outcome) {
        let failsClosed = policy["spec"]?["failurePolicy"]?.stringValue != "Ignore"
        func misconfigured(_ what: String, _ why: String, _ binding: String?) {
            guard failsClosed else { return }
            outcome.denials.append(
                Denial(
                    policy: policy.name, binding: binding, violation: .init(message: "failed to configure \(what): \(why)")))
        }
        let matched: GroupVersionResource
        do throws(SelectorError) {
            let version = try PolicyMatch(policy["spec"]?["matchConstraints"]).version(matching: subject.match)
            guard let version else { return }
            matched = version
        } catch {
            return misconfigured("policy", "\(error)", nil)
        }
        guard let program = program(of: policy) else {
            return misconfigured("policy", "an expression does not compile", nil)
        }
        for binding in bindings {
            do {
                guard try PolicyMatch(binding["spec"]?["matchResources"]).version(matching: subject.match) != nil else {
                    continue
                }
                let sets = try subject.parameters.objects(
                    policy, binding, requestNamespace: subject.inputs.request.namespace)
                for parameters in sets {
                    let inputs = try subject.inputs.values(as: matched, parameters: parameters)
                    for violation in program.violations(inputs) { act(on: violation, policy, binding, subject, &outcome) }
                }
            } catch let fault as PolicyParameters.Fault {
                misconfigured("binding", fault.message, binding.name)
            } catch {
                misconfigured("binding", "\(error)", binding.name)
            }
        }
    }

    private func act(
        on violation: CompiledPolicy.Violation, _ policy: JSONObject, _ binding: JSONObject, _ subject: Subject,
        _ outcome: inout Outcome
    ) {
        for action in binding["spec"]?["validationActions"]?.arrayValue ?? [] {
            switch action.stringValue {
            case "Deny":
                outcome.denials.append(Denial(policy: policy.name, binding: binding.name, violation: violation))
            case "Warn":
                outcome.warnings.append(
                    "Validation failed for ValidatingAdmissionPolicy '\(policy.name)' with binding '\(binding.name)': "
                        + violation.message)
            case "Audit":
                log.info(
                    "admission.policy.violated",
                    [
                        "policy": .string(policy.name), "binding": .string(binding.name),
                        "resource": .string(subject.inputs.request.resource.qualified), "name": .string(subject.match.name),
                        "namespace": .optional(subject.inputs.request.namespace), "message": .string(violation.message),
                    ])
            default: break
            }
        }
    }

    // MARK: - Compiled once

    /// Nil when an expression does not compile, which a policy that was written through this server cannot have.
    private func program(of policy: JSONObject) -> CompiledPolicy? {
        let uid = policy.uid ?? policy.name
        let revision = policy.resourceVersion
        if let entry = compiled.withLock({ $0[uid] }), entry.revision == revision { return entry.policy }
        let entry = Entry(revision: revision, policy: CompiledPolicy(policy["spec"] ?? [:]))
        compiled.withLock { entries in
            // Those of policies that are gone: rather compile a few again than keep count.
            if entries.count >= Self.maxCompiled { entries = [:] }
            entries[uid] = entry
        }
        return entry.policy
    }

    private static let maxCompiled = 256
}
