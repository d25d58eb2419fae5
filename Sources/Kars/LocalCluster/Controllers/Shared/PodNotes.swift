import KarsCore

/// What is told of pods that were made and deleted for an object (controller_utils `RealPodControl`).
enum PodNotes {
    static func notes(
        on owner: JSONObject, after change: KubernetesRequest, _ result: Result<JSON, APIStatus>
    ) -> [EventNote] {
        guard case .object(let path) = change.target, path.resource == .pods else { return [] }
        func note(_ kind: EventNote.Kind, _ reason: String, _ text: String) -> [EventNote] {
            [EventNote(kind, about: owner, reason: reason, action: "", text)]
        }
        switch (change.verb, result) {
        case (.create, .success(let pod)):
            return note(.normal, "SuccessfulCreate", "Created pod: \(pod.objectValue?.name ?? "")")
        case (.create, .failure(let status)):
            // In a namespace that goes away nothing can be made, and nobody needs to be told.
            if status.causes.contains(where: { $0.reason == "NamespaceTerminating" }) { return [] }
            return note(.warning, "FailedCreate", "Error creating: \(status.message)")
        case (.delete, .success): return note(.normal, "SuccessfulDelete", "Deleted pod: \(path.name ?? "")")
        case (.delete, .failure(let status)): return note(.warning, "FailedDelete", "Error deleting: \(status.message)")
        default: return []
        }
    }
}
