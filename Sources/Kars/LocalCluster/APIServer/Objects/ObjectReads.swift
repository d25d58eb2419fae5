import KarsCore

/// GET of an object and of a collection.
extension ObjectRequest {
    func get() throws(APIStatus) -> APIAnswer {
        let options = try ListOptions(query, isWatch: false)
        if let revision = try options.revision() { try checkNotFuture(revision) }
        let key = try key()
        guard let stored = context.store.get(key) else { throw .notFound(name, name: key.name) }
        return APIAnswer(.object(ServedObject(stored, resource)))
    }

    func list(_ options: ListOptions) throws(APIStatus) -> ServedList {
        let selector = try ObjectSelector(options, resource)
        let page = try page(options)
        var items: [ServedObject] = []
        var last: StoredObject?
        var remaining = 0
        for (index, stored) in page.objects.enumerated() {
            let object = ServedObject(stored, resource)
            guard selector.matches(object.json) else { continue }
            if page.limit > 0, items.count == page.limit {
                remaining = page.objects.count - index
                break
            }
            items.append(object)
            last = stored
        }
        var list = ServedList(resource: resource, items: items, revision: page.revision)
        if remaining > 0, let last {
            list.continueToken = ContinueToken(revision: page.revision, after: last.key).text
            // With a selector nobody knows how many of the rest match.
            if !selector.isSelective { list.remaining = remaining }
        }
        return list
    }

    private struct Page {
        var objects: ArraySlice<StoredObject>
        var revision: Int
        var limit: Int
    }

    /// The objects to choose from, by the rules for `resourceVersion`, its match and `continue` (API concepts, "Resource
    /// versions").
    private func page(_ options: ListOptions) throws(APIStatus) -> Page {
        let namespace = info.namespace
        if let text = options.continueToken {
            guard options.resourceVersion == nil || options.resourceVersion == "0" else {
                throw .badRequest("specifying resource version is not allowed when using continue")
            }
            return try page(after: ContinueToken(text), limit: options.limit)
        }
        let revision = try options.revision()
        let isExact = options.match == .exact || (options.limit > 0 && options.match == nil && (revision ?? 0) > 0)
        if let revision, revision > 0 {
            try checkNotFuture(revision)
            if isExact {
                guard let objects = context.store.list(resource.collection, namespace: namespace, at: revision) else {
                    throw .expired("The resourceVersion for the provided list is too old.")
                }
                return Page(objects: objects, revision: revision, limit: options.limit)
            }
        }
        let (objects, current) = context.store.list(resource.collection, namespace: namespace)
        // "Any version will do" is answered from a cache, which knows no pages.
        return Page(objects: objects, revision: current, limit: revision == 0 ? 0 : options.limit)
    }

    private func page(after token: ContinueToken, limit: Int) throws(APIStatus) -> Page {
        var revision = token.revision
        let objects: ArraySlice<StoredObject>
        if revision < 0 {
            (objects, revision) = context.store.list(resource.collection, namespace: info.namespace)
        } else if let past = context.store.list(resource.collection, namespace: info.namespace, at: revision) {
            objects = past
        } else {
            var renewed = token
            renewed.revision = -1
            var status = APIStatus.expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
                    + "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
                    + "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
                    + "deleted between the time the first chunk was returned and now may show up in the list.")
            status.continueToken = renewed.text
            throw status
        }
        let rest = objects.drop { ($0.key.namespace, $0.key.name) <= (token.namespace, token.name) }
        return Page(objects: rest, revision: revision, limit: limit)
    }

    func checkNotFuture(_ revision: Int) throws(APIStatus) {
        let current = context.store.revision
        guard revision > current else { return }
        var status = APIStatus(
            code: 504, reason: .timeout, message: "Timeout: Too large resource version: \(revision), current: \(current)")
        status.causes = [APIStatus.Cause(reason: "ResourceVersionTooLarge", message: "Too large resource version")]
        status.retryAfterSeconds = 1
        throw status
    }
}

/// Which objects a list or watch shows.
struct ObjectSelector: Sendable {
    private let labels: LabelSelector?
    private let fields: FieldSelector?

    /// Throws 400 for fields that the resource cannot be selected by.
    init(_ options: ListOptions, _ resource: ServedResource) throws(APIStatus) {
        labels = options.labelSelector
        fields = options.fieldSelector
        do throws(SelectorError) { try fields?.check(selectable: resource.selectableFields) } catch {
            throw .badRequest("\(error)")
        }
    }

    var isSelective: Bool { labels != nil || fields != nil }

    func matches(_ object: JSONObject) -> Bool {
        fields?.matches(object) != false && labels?.matches(object.labels) != false
    }
}
