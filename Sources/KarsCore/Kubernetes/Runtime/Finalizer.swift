/// Holds an object back from deletion until what belongs to it elsewhere is gone.
///
/// **Flow.** An object without our finalizer gets it, and nothing else happens in that round; the change brings the object back. With it,
/// the object is reconciled. Once the object is being deleted, it is cleaned up, round after round, until nothing is left; then the
/// finalizer is removed and the server may delete the object.
///
/// **Guarantees.** Nothing is made for an object before its finalizer is stored. The finalizer is not removed before clean-up has found
/// nothing left to do. Both writes carry the `resourceVersion` that was read: with anything newer there they fail with a conflict and the
/// next round decides again, so that finalizers of others are never lost. An object that is being deleted and has not got our finalizer
/// is none of our business.
///
/// **Assumptions.** Clean-up is idempotent: it may run again after the process was killed at any point, and for an object that was never
/// reconciled. Nobody else uses the same finalizer name.
package struct Finalizer: Sendable, Equatable {
    package enum Step: Sendable, Equatable {
        /// Store the finalizer first.
        case add(KubernetesRequest)
        case reconcile
        /// Clean up; `remove` when nothing is left.
        case cleanUp(remove: KubernetesRequest)
        case ignore
    }

    /// A name with a domain: `kars.azure.com/sandbox`.
    package let name: String

    package init(_ name: String) { self.name = name }

    package func step(for object: JSONObject, in resource: GroupVersionResource) -> Step {
        let finalizers = object.metadata["finalizers"]?.arrayValue ?? []
        let isHeld = finalizers.contains { $0.stringValue == name }
        switch (object.isBeingDeleted, isHeld) {
        case (false, false): return .add(write(finalizers + [.string(name)], of: object, in: resource))
        case (false, true): return .reconcile
        case (true, true):
            return .cleanUp(remove: write(finalizers.filter { $0.stringValue != name }, of: object, in: resource))
        case (true, false): return .ignore
        }
    }

    /// Lets go of an object that is not being deleted and has nothing left to clean up; nil when it is not held.
    package func release(of object: JSONObject, in resource: GroupVersionResource) -> KubernetesRequest? {
        let finalizers = object.metadata["finalizers"]?.arrayValue ?? []
        guard finalizers.contains(where: { $0.stringValue == name }) else { return nil }
        return write(finalizers.filter { $0.stringValue != name }, of: object, in: resource)
    }

    private func write(_ finalizers: [JSON], of object: JSONObject, in resource: GroupVersionResource) -> KubernetesRequest {
        var metadata: JSONObject = ["finalizers": .array(finalizers)]
        metadata["resourceVersion"] = object.resourceVersion.map(JSON.string)
        return .patch(
            .merge, resource, namespace: object.namespace, name: object.name, ["metadata": .object(metadata)])
    }
}
