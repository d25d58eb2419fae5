/// What discovery tells of one served resource (`APIResource` of meta/v1).
package struct ResourceDescription: Hashable, Sendable {
    package enum Verb: String, CaseIterable, Sendable {
        case create, delete, deletecollection, get, list, patch, update, watch
    }

    package var resource: GroupVersionResource
    package var kind: String
    /// Lower case, for instance `deployment`.
    package var singular: String
    package var isNamespaced: Bool
    package var shortNames: [String] = []
    package var categories: [String] = []
    package var verbs: [Verb] = Verb.allCases

    package init(
        _ resource: GroupVersionResource, kind: String, singular: String? = nil, isNamespaced: Bool,
        shortNames: [String] = [], categories: [String] = [], verbs: [Verb] = Verb.allCases
    ) {
        self.resource = resource
        self.kind = kind
        self.singular = singular ?? kind.lowercased()
        self.isNamespaced = isNamespaced
        self.shortNames = shortNames
        self.categories = categories
        self.verbs = verbs
    }

    package var groupVersionKind: GroupVersionKind { GroupVersionKind(resource.groupVersion, kind: kind) }
    package var listKind: String { kind + "List" }
}
