"""What replay.py must know of single records: requests that were made on the side, records out of scope, special comparisons."""

import re
import time

NS = "/api/v1/namespaces/golden"
DEPLOYMENTS = "/apis/apps/v1/namespaces/golden/deployments"
WIDGETS = "/apis/golden.example.com/v1/namespaces/golden/widgets"
MERGE = "application/merge-patch+json"


# --- steps -----------------------------------------------------------------------------------------------------------------


def widget(name, color="red", size=None, **metadata):
    spec = {"color": color} if size is None else {"color": color, "size": size}
    return {"apiVersion": "golden.example.com/v1", "kind": "Widget", "metadata": {"name": name, **metadata}, "spec": spec}


def config_map(name, **metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"k": "v"}}


def post(path, body, uid=None, version=None):
    """Creates; `uid` and `version` are what the recording had for the new object."""

    def step(server, learned):
        answer = server.step(learned, "POST", path, body)
        if answer and uid:
            learned.texts[uid] = answer["metadata"]["uid"]
        if answer and version:
            learned.versions[version] = int(answer["metadata"]["resourceVersion"])

    return step


def patch(path, body, content_type=MERGE):
    return lambda server, learned: server.step(learned, "PATCH", path, body, content_type)


def delete(path):
    return lambda server, learned: server.step(learned, "DELETE", path)


def until(path, is_so, seconds=10):
    """Waits until the answer to a GET is as wanted; what is sent next is about that state."""

    def step(server, learned):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if is_so(server.step(learned, "GET", path) or {}):
                return
            time.sleep(0.005)
        print(f"  note: {path} is not as it was before the next record")

    return step


def fill_history(server, learned):
    """Changes enough that the local cluster forgets old versions for their size; the recorded server had forgotten them for their age."""
    path = f"{NS}/configmaps/filler"
    server.step(learned, "POST", f"{NS}/configmaps", config_map("filler"))
    for n in range(40):
        server.step(learned, "PATCH", path, {"data": {"k": str(n % 10) * 1_000_000}}, MERGE)
    server.step(learned, "DELETE", path)


def at_revision(number):
    """Controllers have taken up the template before."""
    return until(
        f"{DEPLOYMENTS}/d1", lambda d: d["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision") == number)


def rolled_out(deployment):
    """Whether all its Pods are of its template and count as there."""
    wanted, status = deployment["spec"]["replicas"], deployment.get("status", {})
    return deployment["metadata"]["generation"] == status.get("observedGeneration") and all(
        status.get(field) == wanted for field in ("replicas", "updatedReplicas", "availableReplicas"))


def owner(name, uid):
    return [{
        "apiVersion": "golden.example.com/v1", "kind": "Widget", "name": name, "uid": uid, "controller": True,
        "blockOwnerDeletion": True,
    }]


def make_ready(name, selector):
    """Says by hand that Pods run, since the recording had no nodes, until the Deployment has rolled out."""

    def step(server, learned):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for pod in (server.step(learned, "GET", f"{NS}/pods?labelSelector={selector}") or {"items": []})["items"]:
                if pod["metadata"].get("deletionTimestamp") or pod["status"]["phase"] == "Running":
                    continue
                server.step(
                    learned, "PATCH", f"{NS}/pods/{pod['metadata']['name']}/status",
                    {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}, MERGE)
            if rolled_out(server.step(learned, "GET", f"{DEPLOYMENTS}/{name}")):
                return
            time.sleep(0.1)

    return step


OWN = "ed2edc5d-58b6-41d3-bc0e-78b7f8e591d9"
OWN2 = "00000000-0000-0000-0000-00000000own2"
COLORS = ["red", "green", "blue", "red", "green"]

BEFORE = {
    "cr-list": [
        post(WIDGETS, widget(f"l{n}", COLORS[n], labels={"app": "list", "n": str(n)}), version=292 + n) for n in range(5)
    ],
    "delete-finalizer": [post(WIDGETS, widget("fin", size=3, finalizers=["golden.example.com/hold"]))],
    "deploy-patch-strategic": [at_revision("1")],
    "deploy-patch-strategic-delete": [at_revision("2")],
    "deploy-available": [make_ready("d1", "app%3Dd1")],
    "quota-event": [patch(f"{DEPLOYMENTS}/d1", {"spec": {"replicas": 6}})],
    # It was gone by `gc-deploy-foreground`, where the Deployment has grown beyond it.
    "vap-create": [delete(f"{NS}/resourcequotas/rq")],
    "gc-deploy-foreground": [until(f"{DEPLOYMENTS}/d1", lambda d: d["status"].get("updatedReplicas") == 6, 30)],
    "vap-warned": [
        patch(
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/golden-no-bad",
            {"spec": {"validationActions": ["Warn"]}})
    ],
    "owner-two-controllers": [
        delete("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/golden-no-bad"),
        delete("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/golden-no-bad"),
        post(WIDGETS, widget("own", size=3), uid=OWN),
    ],
    "gc-foreground": [post(f"{NS}/configmaps", config_map("dep1", ownerReferences=owner("own", OWN)), version=551)],
    "gc-orphan": [
        post(WIDGETS, widget("own2", size=3), uid=OWN2),
        post(f"{NS}/configmaps", config_map("dep2", ownerReferences=owner("own2", OWN2))),
    ],
    "cr-list-rv-exact-expired": [fill_history],
    "ns-delete": [
        post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "golden-gone"}}),
        post("/api/v1/namespaces/golden-gone/configmaps", config_map("held", finalizers=["golden.example.com/hold"])),
    ],
    "ns-gone": [patch("/api/v1/namespaces/golden-gone/configmaps/held", {"metadata": {"finalizers": None}})],
}

DURING = {
    "watch-from-rv": [
        post(WIDGETS, widget("wx", size=3, labels={"app": "watch"})),
        patch(f"{WIDGETS}/wx", {"spec": {"size": 5}}),
        delete(f"{WIDGETS}/wx"),
    ],
    "watch-no-rv": [patch(f"{WIDGETS}/l0", {"spec": {"size": 2}})],
    "watch-label-leaves": [
        patch(f"{WIDGETS}/l0", {"metadata": {"labels": {"app": "other"}}}),
        patch(f"{WIDGETS}/l0", {"metadata": {"labels": {"app": "list"}}}),
    ],
    "watch-field-name": [patch(f"{WIDGETS}/l2", {"spec": {"size": 3}}), patch(f"{WIDGETS}/l1", {"spec": {"size": 3}})],
    "watch-bookmark": [patch(f"{WIDGETS}/l2", {"spec": {"size": 9}})],
    "watch-initial-events": [patch(f"{WIDGETS}/l1", {"spec": {"size": 4}})],
    "watch-table": [patch(f"{WIDGETS}/l1", {"spec": {"size": 5}})],
}

# Seconds within which controllers bring about what is recorded.
EVENTUALLY = {
    "crd-get-established": 5, "deploy-get": 10, "rs-list": 10, "pod-list": 10, "pod-list-table": 10, "pod-list-field": 10,
    "deploy-available": 20, "quota-get": 10, "quota-event": 10, "quota-deploy-condition": 10, "gc-foreground-gone": 10,
    "gc-orphan-dependent": 10, "ns-terminating-get": 10, "ns-gone": 10, "crd-gone-list": 5, "deploy-scale-get": 5,
}

SLOW = {"watch-bookmark"}

MOMENT = "shows how far controllers had come at that moment"

# Differences that are understood; they count all the same.
KNOWN = {
    "clusterroles-list": "the local cluster begins with the roles that something in it uses",
    "deploy-patch-strategic": MOMENT,
    "deploy-patch-strategic-delete": MOMENT,
    "deploy-scale-get": MOMENT,
    "pod-spec-immutable": "behind its first line the message has a diff of the form that Pods have inside the real server",
    "sar-nonresource": "names one of two bindings that both allow it, whichever the server met first",
}

# --- scope -----------------------------------------------------------------------------------------------------------------

OUT_OF_SCOPE = [
    (r"^pdb-|^pod-eviction-(refused|dry-run)$", "PodDisruptionBudget is not served"),
    (r"^limitrange-", "LimitRange is not served"),
    (r"^pod-security-", "PodSecurity admission is not part of the local cluster"),
    (r"webhook", "admission webhooks are not part of the local cluster"),
    (r"^csr-", "CertificateSigningRequest is not served"),
    (r"^gzip$", "OpenAPI v2 is not served; compression is tested by the server's own tests"),
]

SERVED = {
    "", "v1", "apps", "batch", "discovery.k8s.io", "networking.k8s.io", "rbac.authorization.k8s.io", "coordination.k8s.io",
    "events.k8s.io", "admissionregistration.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "apiextensions.k8s.io",
    "golden.example.com", "namespaces", "nodes", "pods", "deployments", "replicasets", "jobs", "services", "endpointslices",
    "configmaps", "secrets", "serviceaccounts", "roles", "rolebindings", "clusterroles", "clusterrolebindings",
    "networkpolicies", "resourcequotas", "leases", "events", "customresourcedefinitions", "validatingadmissionpolicies",
    "validatingadmissionpolicybindings", "tokenreviews", "selfsubjectreviews", "subjectaccessreviews",
    "selfsubjectaccessreviews", "localsubjectaccessreviews", "selfsubjectrulesreviews", "status", "scale", "finalize", "log",
    "exec", "attach", "portforward", "eviction", "token", "widgets",
}


def out_of_scope(record):
    for pattern, reason in OUT_OF_SCOPE:
        if re.search(pattern, record["id"]):
            return reason
    return None


def is_unserved(name):
    """Whether discovery may leave out what the recording has under this name: `deployments`, `pods/log`, a group."""
    parts = name.split("/")
    return any(part not in SERVED for part in parts)


def whole_text(name, text):
    """Bodies that the recording cut for their length."""
    cut = re.search(r"…\((\d+) bytes\)$", text)
    if not cut:
        return text
    beginning = text[: cut.start()].rstrip("x")
    ending = '"}}'
    return beginning + "x" * (int(cut[1]) - len(beginning) - len(ending)) + ending


# --- comparisons -----------------------------------------------------------------------------------------------------------


def version(recorded, actual):
    return [f"{key}: recorded {recorded[key]}, got {actual.get(key)}" for key in ("major", "minor") if recorded[key] != actual.get(key)]


def verbose(recorded, actual):
    lines = actual.splitlines()
    bad = [line for line in lines[:-1] if not re.match(r"^\[\+\]\S+ ok$", line)]
    last = recorded.splitlines()[-1]
    return [f"line {line!r}" for line in bad] + ([] if lines and lines[-1] == last else [f"last line: recorded {last!r}, got {lines[-1:]}"])


def paths(recorded, actual):
    """Every path of ours is one of theirs, and none of a served group is missing; checks have names of their own."""
    def relevant(all_paths):
        return {p.rstrip("/") for p in all_paths if p.startswith(("/api", "/apis")) and all(
            part in SERVED or part in ("api", "apis") for part in p.strip("/").split("/"))}

    # The recording lists the root before its custom resource exists.
    missing, extra = relevant(recorded["paths"]) - relevant(actual["paths"]), relevant(actual["paths"]) - relevant(recorded["paths"])
    return [f"missing {sorted(missing)}"] * bool(missing) + [f"unknown {sorted(extra)}"] * bool(extra)


def openapi_index(recorded, actual):
    served = [p for p in recorded["paths"] if p.startswith(("api/v", "apis/")) and p.count("/") == 2 - p.startswith("api/")
              and p.split("/")[1] in SERVED]
    missing = [p for p in served if p not in actual.get("paths", {})]
    return [f"missing {missing}"] if missing else []


def openapi(recorded, actual):
    """The shapes of objects; the prose around parameters is nobody's contract."""
    faults = []
    for name, schema in recorded["components"]["schemas"].items():
        if not name.startswith("com.example"):
            continue
        found = actual.get("components", {}).get("schemas", {}).get(name)
        if found is None:
            faults.append(f"schema {name} is missing")
        elif set(schema.get("properties", {})) != set(found.get("properties", {})):
            faults.append(f"schema {name}: recorded {sorted(schema['properties'])}, got {sorted(found.get('properties', {}))}")
    missing = set(recorded["paths"]) - set(actual.get("paths", {}))
    if missing:
        faults.append(f"paths missing: {sorted(missing)}")
    return faults


COMPARE = {
    "version": version, "readyz-verbose": verbose, "root-paths": paths, "openapi-v3-index": openapi_index,
    "crd-openapi-v3": openapi, "apis": "discovery", "api-aggregated": "discovery", "apis-aggregated": "discovery",
    "apiv1": "discovery", "apis-apps-v1": "discovery",
}
