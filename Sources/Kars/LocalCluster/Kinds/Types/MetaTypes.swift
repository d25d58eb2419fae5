import KarsCore

/// Types of meta/v1 that every kind is made of.
enum MetaTypes {
    static let ownerReference = APIObjectType(
        .meta, "OwnerReference", atomic: true, "An object of which this one is a part; it goes when all its owners are gone.",
        [
            .required("apiVersion", .string, "Group and version of the owner."),
            .required("kind", .string, "Kind of the owner."),
            .required("name", .string, "Name of the owner, in the same namespace or cluster-wide."),
            .required("uid", .string, "Identity of the owner."),
            .pointer("controller", .boolean, "Whether the owner is the one controller of this object."),
            .pointer("blockOwnerDeletion", .boolean, "Whether deleting the owner in the foreground waits for this object."),
        ])

    static let fields = APIType.rawObject(
        name: "\(APIPackage.meta.rawValue).FieldsV1", description: "A tree of field paths as server-side apply notes them.")

    static let managedFieldsEntry = APIObjectType(
        .meta, "ManagedFieldsEntry", "Which fields one manager has set.",
        [
            .optional("manager", .string, "Who set the fields."),
            .optional("operation", .string, "`Apply` or `Update`."),
            .optional("apiVersion", .string, "The version in which the fields were set."),
            .pointer("time", .time, "When the entry last changed."),
            .optional("fieldsType", .string, "How the fields are written: `FieldsV1`."),
            .pointer("fieldsV1", fields, "The fields."),
            .optional("subresource", .string, "The subresource through which they were set."),
        ])

    static let objectMeta = APIObjectType(
        .meta, "ObjectMeta", "What every object has: its name and what the server notes about it.",
        [
            .optional("name", .string, "Name, unique for the kind within the namespace. Never changes."),
            .optional("generateName", .string, "Beginning of a name that the server completes when `name` is empty."),
            .optional("namespace", .string, "Namespace; empty for objects of the whole cluster. Never changes."),
            .optional("selfLink", .string, "No longer set by the server."),
            .optional("uid", .string, "Identity in time and space, set by the server."),
            .optional("resourceVersion", .string, "Version of the stored object; opaque to clients."),
            .optional("generation", .int64, "Counts changes of what is wanted."),
            .pointer("creationTimestamp", .time, "When the server stored the object first."),
            .pointer("deletionTimestamp", .time, "When a deletion that waits is or was due."),
            .pointer("deletionGracePeriodSeconds", .int64, "Seconds that a graceful deletion may take."),
            .optional("labels", .map(.string), "Names and values to select objects by."),
            .optional("annotations", .map(.string), "Names and values for tools; not selectable."),
            .optional("ownerReferences", .keyed(ownerReference, by: "uid"), "Objects of which this one is a part."),
            .optional("finalizers", .set(.string), "Who still has to act before the object may go."),
            .optional("managedFields", .list(managedFieldsEntry), "Which fields were set by whom; kept by the server."),
        ])

    static let listMeta = APIObjectType(
        .meta, "ListMeta", "What a list tells about itself.",
        [
            .optional("selfLink", .string, "No longer set by the server."),
            .optional("resourceVersion", .string, "Version of the collection at the time of the list."),
            .optional("continue", .string, "Where to go on; empty on the last page."),
            .pointer("remainingItemCount", .int64, "How many objects follow this page, when known."),
        ])

    static let labelSelectorRequirement = APIObjectType(
        .meta, "LabelSelectorRequirement", "A test on one label.",
        [
            .required("key", .string, "The label."),
            .required("operator", .string, "`In`, `NotIn`, `Exists` or `DoesNotExist`."),
            .optional("values", .list(.string), "Values for `In` and `NotIn`; empty otherwise."),
        ])

    static let labelSelector = APIObjectType(
        .meta, "LabelSelector", atomic: true, "Selects objects whose labels pass every test; an empty one selects all.",
        [
            .optional("matchLabels", .map(.string), "Labels that must have these values."),
            .optional("matchExpressions", .list(labelSelectorRequirement), "Further tests."),
        ])

    static let condition = APIObjectType(
        .meta, "Condition", "One aspect of an object's state.",
        [
            .required("type", .string, "Which aspect, in CamelCase."),
            .required("status", .string, "`True`, `False` or `Unknown`."),
            .optional("observedGeneration", .int64, "The generation that was looked at."),
            .required("lastTransitionTime", .time, "When `status` last changed."),
            .required("reason", .string, "Why, for programs, in CamelCase."),
            .required("message", .string, "Why, for people."),
        ])

    // MARK: Options and answers

    static let preconditions = APIObjectType(
        .meta, "Preconditions", "What must hold for a deletion to happen.",
        [
            .pointer("uid", .string, "The identity the object must have."),
            .pointer("resourceVersion", .string, "The version the object must have."),
        ])

    static let deleteOptions = APIObjectType(
        .meta, "DeleteOptions", "How to delete.",
        [
            .optional("apiVersion", .string, "Group and version of this object's schema."),
            .optional("kind", .string, "`DeleteOptions`."),
            .pointer("gracePeriodSeconds", .int64, "Seconds until the object goes; 0 is at once."),
            .pointer("preconditions", .object(preconditions), "What must hold, otherwise 409."),
            .pointer("orphanDependents", .boolean, "Superseded by `propagationPolicy`."),
            .pointer("propagationPolicy", .string, "`Orphan`, `Background` or `Foreground`."),
            .optional("dryRun", .list(.string), "`All`: go through everything and store nothing."),
        ])

    static let statusCause = APIObjectType(
        .meta, "StatusCause", "One of several faults.",
        [
            .optional("reason", .string, "Kind of fault, for programs."),
            .optional("message", .string, "What is wrong, for people."),
            .optional("field", .string, "The field at fault, as a path."),
        ])

    static let statusDetails = APIObjectType(
        .meta, "StatusDetails", "What a failure is about.",
        [
            .optional("name", .string, "Name of the object."),
            .optional("group", .string, "Group of the object."),
            .optional("kind", .string, "Kind or resource of the object."),
            .optional("uid", .string, "Identity of the object."),
            .optional("causes", .list(statusCause), "The faults one by one."),
            .optional("retryAfterSeconds", .int32, "When to try again."),
        ])

    static let status = APIObjectType(
        .meta, "Status", "The outcome of a request that returns no object.",
        [
            .optional("apiVersion", .string, "Group and version of this object's schema."),
            .optional("kind", .string, "`Status`."),
            .shown("metadata", .object(listMeta), "Empty."),
            .optional("status", .string, "`Success` or `Failure`."),
            .optional("message", .string, "What happened, for people."),
            .optional("reason", .string, "What happened, for programs."),
            .pointer("details", .object(statusDetails), "More about a failure."),
            .optional("code", .int32, "The HTTP status code."),
        ])

    // MARK: Scale

    static let scale = APIObjectType.kind(
        .autoscaling, "Scale", "How many replicas there are to be.",
        [
            .shown(
                "spec",
                .object(
                    APIObjectType(
                        .autoscaling, "ScaleSpec", "What is wanted.",
                        [.optional("replicas", .int32, default: 0, "How many replicas there are to be.")])),
                "What is wanted."),
            .shown(
                "status",
                .object(
                    APIObjectType(
                        .autoscaling, "ScaleStatus", "What is there.",
                        [
                            .required("replicas", .int32, default: 0, "How many replicas there are."),
                            .optional("selector", .string, "Selects the replicas, as a query parameter has it."),
                        ])),
                "What is there."),
        ])
}
