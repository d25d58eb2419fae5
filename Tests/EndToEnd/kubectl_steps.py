#!/usr/bin/env python3
"""What people do with kubectl, against any API server: each step does one thing and checks what kubectl shows for it.

    kubectl_steps.py --kubeconfig FILE [--kubectl PROGRAM] [--image NAME] [--only NAME…]

The user of the kubeconfig must be an administrator. Everything happens in namespaces and with cluster-wide objects of the
run's own, which are removed at the end. Steps that need controllers (rollout, cascades) or a node are skipped where there
is none; pods are of --image. Exits with 1 when a step fails.
"""
import argparse
import base64
import json
import re
import subprocess
import sys
import tempfile
import time

import kubectl_pod_steps  # for its steps, which come first
from kubectl_driver import STEPS, Kubectl, Skipped, has, lacks, step

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{meta}}}\ndata: {{{data}}}\n"


def config_map(name, data="k: v", meta=""):
    return CONFIG_MAP.format(name=name, data=data, meta=meta)


# Looking

@step
def version_and_health(k):
    has(k("version"), "Client Version: v1.", "Server Version: v1.")
    assert k.out("get --raw /readyz") == "ok"


@step
def api_resources(k):
    text = k("api-resources")
    for line in ("configmaps +cm +v1 +true +ConfigMap", "deployments +deploy +apps/v1 +true +Deployment",
                 f"gadgets +gd{k.suffix} +{k.group}/v1 +true +Gadget", "namespaces +ns +v1 +false +Namespace"):
        assert re.search(line, text), f"{line} is not in:\n{text}"
    has(k(f"api-resources --api-group={k.group} -o wide"), "create,", "deletecollection,", f"e{k.suffix}")
    lacks(k("api-resources --namespaced=false"), "configmaps")
    has(k("api-versions"), "apps/v1", f"{k.group}/v1", "v1")


@step
def every_output_of_get(k):
    k("create configmap shown --from-literal=a=1 --from-literal=b=2")
    k("label configmap shown app=x")
    assert k.json("get cm shown")["data"] == {"a": "1", "b": "2"}
    has(k("get cm shown -o yaml"), 'a: "1"', "kind: ConfigMap", "resourceVersion:")
    assert k("get cm shown -o name") == "configmap/shown\n"
    assert k("get cm shown -o jsonpath={.data.b}") == "2"
    assert k("get cm shown", "-o", "go-template={{.metadata.name}}") == "shown"
    assert k("get cm shown -o custom-columns=N:.metadata.name,A:.data.a").split() == ["N", "A", "shown", "1"]
    assert json.loads(k("get cm shown -o jsonpath-as-json={.data}")) == [{"a": "1", "b": "2"}]
    assert re.match(r"NAME +DATA +AGE\nshown +2 +\d+s\n", k("get cm shown"))
    assert re.match(r"NAME +DATA +AGE +LABELS\nshown +2 +\d+s +app=x\n", k("get cm shown --show-labels"))
    assert re.match(r"NAME +DATA +AGE +APP\nshown +2 +\d+s +x\n", k("get cm shown -L app"))
    assert re.match(r"shown +2 +\d+s\n", k("get cm shown --no-headers"))
    has(k("get cm,secret,sa"), "configmap/shown")
    has(k("get cm -A"), "NAMESPACE", k.namespace)
    has(k("get all"), "")


@step
def columns_of_custom_resources(k):
    k.apply(k.gadget("seen", 7, ", color: red"))
    assert re.match(r"NAME +SIZE\nseen +7\n", k(f"get gd{k.suffix} seen"))
    assert re.match(r"NAME +SIZE +COLOR\nseen +7 +red\n", k(f"get gadgets.{k.group} seen -o wide"))
    has(k(f"get e{k.suffix}"), "seen")


@step
def selecting_and_sorting(k):
    for name, tier in (("s1", "a"), ("s2", "b"), ("s3", "a")):
        k.apply(config_map(name, meta=f", labels: {{set: s, tier: {tier}}}"))
    names = lambda line: k.out(f"get cm -o name {line}").split()
    assert names("-l set=s,tier=a") == ["configmap/s1", "configmap/s3"]
    assert names("-l set=s,tier!=a") == ["configmap/s2"]
    assert k.out("get cm -o name -l", "tier in (a,b),set").split() == ["configmap/s1", "configmap/s2", "configmap/s3"]
    assert names("--field-selector metadata.name=s2") == ["configmap/s2"]
    assert names("-l set=s --chunk-size=1") == ["configmap/s1", "configmap/s2", "configmap/s3"]
    assert k("get cm -l set=s --no-headers --sort-by=.metadata.labels.tier -o custom-columns=N:.metadata.name").split() == ["s1", "s3", "s2"]


@step
def what_is_not_there(k):
    has(k("get cm absent", expect=1), 'Error from server (NotFound): configmaps "absent" not found')
    assert k("get cm absent --ignore-not-found") == ""
    has(k("get nosuchthings", expect=1), 'the server doesn\'t have a resource type "nosuchthings"')
    has(k("get secrets"), f"No resources found in {k.namespace} namespace.")


@step
def describe(k):
    k("create configmap told --from-literal=key=value")
    has(k("describe cm told"), "Name:         told", "key:", "value")
    k("create secret generic hidden --from-literal=word=swordfish")
    text = k("describe secret hidden")
    has(text, "word:  9 bytes")
    lacks(text, "swordfish")
    k.apply(k.gadget("told", 2))
    has(k(f"describe gadget told"), "API Version:  " + k.group, "Size:  2")
    has(k(f"describe ns {k.namespace}"), "Status:       Active")
    k("create deployment told --image=example.com/a:1 --replicas=2")
    has(k("describe deployment told"), "Replicas:", "2 desired", "example.com/a:1", "RollingUpdate")
    k("create service clusterip told --tcp=80:8080")
    has(k("describe service told"), "8080/TCP", "IP Family Policy:")
    k("create quota told --hard=pods=3")
    has(k("describe quota told"), "Resource", "Used", "Hard")
    k("create role told --verb=get --resource=pods")
    has(k("describe role told"), "pods", "[get]")
    has(k("describe clusterrole cluster-admin"), "*.*")
    has(k(f"describe crd gadgets.{k.group}"), "Gadget")
    for name in ("deployment", "service", "quota", "role"):
        k(f"delete {name} told")


@step
def explain(k):
    has(k("explain configmap"), "KIND:       ConfigMap", "VERSION:    v1", "data\t<map[string]string>")
    has(k("explain deployment.spec.replicas"), "GROUP:      apps", "FIELD: replicas <integer>")
    has(k("explain pod.spec.containers.ports"), "containerPort\t<integer> -required-")
    has(k(f"explain gadget.spec"), "size\t<integer> -required-", "How big it is.")
    has(k("explain gadget --recursive"), "parts\t<[]Object>", "count\t<integer>")
    has(k("explain pod.spec.nosuch", expect=1), 'field "nosuch" does not exist')


# Writing

@step
def create_of_every_kind_that_kubectl_makes_itself(k):
    k("create configmap made --from-literal=a=1")
    k("create secret generic made --from-literal=a=1")
    k("create serviceaccount made")
    k("create role made --verb=get,list --resource=pods,deployments.apps --resource-name=x")
    k(f"create rolebinding made --role=made --serviceaccount={k.namespace}:made --user=u --group=g")
    k(f"create clusterrole made-{k.suffix} --verb=get --non-resource-url=/metrics")
    k(f"create clusterrolebinding made-{k.suffix} --clusterrole=made-{k.suffix} --user=u")
    k("create service nodeport made --tcp=80")
    k("create deployment made --image=example.com/a:1 --replicas=0 --port=80")
    k("create job made --image=example.com/a:1 -- sleep 1")
    k("create quota made --hard=count/configmaps=1000")
    assert k.json("get role made")["rules"] == [
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["x"]},
        {"verbs": ["get", "list"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["x"]}]
    assert [s["kind"] for s in k.json("get rolebinding made")["subjects"]] == ["User", "Group", "ServiceAccount"]
    assert k.json("get deployment made")["spec"]["template"]["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    has(k("create configmap made", expect=1), 'configmaps "made" already exists')
    k("delete deployment,job,service,quota,rolebinding,role made", "--wait=false", expect=None)
    k(f"delete clusterrolebinding,clusterrole made-{k.suffix}")


@step
def apply_client_side(k):
    has(k.apply(config_map("ap", "a: x, b: c")), "configmap/ap created")
    has(k.apply(config_map("ap", "a: x, b: c")), "configmap/ap unchanged")
    has(k.apply(config_map("ap", "a: z")), "configmap/ap configured")
    stored = k.json("get cm ap")
    assert stored["data"] == {"a": "z"}
    assert json.loads(stored["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"])["data"] == {"a": "z"}
    k("patch cm ap --type=merge -p", '{"data":{"theirs":"1"}}')
    k.apply(config_map("ap", "a: w"))
    assert k.json("get cm ap")["data"] == {"a": "w", "theirs": "1"}
    has(k("apply view-last-applied cm ap"), "a: w")
    has(k.apply(config_map("ap", "a: q"), "apply --dry-run=server"), "configmap/ap configured (server dry run)")
    assert k.json("get cm ap")["data"]["a"] == "w"
    has(k.apply(config_map("several") + "---\n" + config_map("two")), "configmap/several created", "configmap/two created")


@step
def apply_server_side(k):
    line = "apply --server-side"
    has(k.apply(config_map("ss", "a: x"), line), "configmap/ss serverside-applied")
    conflict = k.apply(config_map("ss", "a: theirs"), line + " --field-manager=other", expect=1)
    has(conflict, 'Apply failed with 1 conflict: conflict with "kubectl": .data.a', "--force-conflicts")
    k.apply(config_map("ss", "a: theirs"), line + " --field-manager=other --force-conflicts")
    managers = {m["manager"]: m for m in k.json("get cm ss --show-managed-fields")["metadata"]["managedFields"]}
    assert managers["other"]["operation"] == "Apply" and "f:a" in managers["other"]["fieldsV1"]["f:data"], managers
    k.apply(config_map("ss", "b: 'y'"), line)
    assert k.json("get cm ss")["data"] == {"a": "theirs", "b": "y"}
    k.apply(k.gadget("ss", 1, ", parts: [{name: a, count: 1}]"), line + " --field-manager=one")
    k.apply(k.gadget("ss", 1, ", parts: [{name: b, count: 2}]"), line + " --field-manager=two")
    assert [p["name"] for p in k.json("get gadget ss")["spec"]["parts"]] == ["a", "b"]


@step
def validation_of_fields(k):
    bad = k.gadget("bad", 1, ", nosuch: 1")
    has(k.apply(bad, expect=1), 'unknown field "spec.nosuch"')
    has(k.apply(bad, "apply --validate=warn"), 'unknown field "spec.nosuch"', "created")
    has(k.apply(k.gadget("bad2", 0), expect=1), "spec.size", "should be greater than or equal to 1")
    has(k.apply(k.gadget("bad2", 1, ", color: green"), expect=1), 'Unsupported value: "green"')
    has(k.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name}\n", expect=1), "a lowercase RFC 1123 subdomain")
    has(k.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndatum: {}\n", expect=1), 'unknown field "datum"')


@step
def diff(k):
    k.apply(config_map("df", "a: x"))
    assert k("diff -f -", given=config_map("df", "a: x")) == ""
    has(k("diff -f -", given=config_map("df", "a: other"), expect=1), "-  a: x", "+  a: other")
    has(k("diff --server-side --force-conflicts -f -", given=config_map("df", "a: other"), expect=1), "+  a: other")


@step
def patches_of_every_type(k):
    k("create deployment pt --image=example.com/a:1 --replicas=0")
    k("patch deployment pt -p", '{"spec":{"template":{"spec":{"containers":[{"name":"b","image":"example.com/b:1"}]}}}}')
    containers = k.json("get deployment pt")["spec"]["template"]["spec"]["containers"]
    assert sorted(c["name"] for c in containers) == ["a", "b"], containers
    k("patch deployment pt --type=merge -p", '{"metadata":{"labels":{"x":"y"}}}')
    k("patch deployment pt --type=json -p", '[{"op":"test","path":"/metadata/labels/x","value":"y"},{"op":"remove","path":"/metadata/labels/x"}]')
    assert "x" not in k.json("get deployment pt")["metadata"]["labels"]
    has(k("patch deployment pt --type=json -p", '[{"op":"test","path":"/spec/replicas","value":9}]', expect=1), "The request is invalid")
    has(k("patch deployment pt -p", '{"metadata":{"labels":{"app":"pt"}}}'), "patched (no change)")
    k.apply(k.gadget("pt", 1))
    k("patch gadget pt --subresource=status --type=merge -p", '{"status":{"phase":"Ready"}}')
    assert k.json("get gadget pt")["status"] == {"phase": "Ready"}
    has(k("patch gadget pt -p", '{"spec":{"size":2}}', expect=1), "is not supported")
    k("delete deployment pt")


@step
def labels_and_annotations(k):
    k.apply(config_map("la"))
    has(k("label cm la a=1 b=2"), "configmap/la labeled")
    has(k("label cm la a=3", expect=1), "already has a value (1), and --overwrite is false")
    k("label cm la a=3 --overwrite")
    k("label cm la b-")
    assert k.json("get cm la")["metadata"]["labels"] == {"a": "3"}
    has(k("annotate cm la", "note=some words"), "configmap/la annotated")
    assert k.json("get cm la")["metadata"]["annotations"]["note"] == "some words"
    has(k("label cm la a=not/valid/at/all", expect=1), "a valid label must be")


@step
def editing_and_replacing(k):
    k.apply(config_map("ed", "a: before"))
    has(k("edit cm ed", environment={"KUBE_EDITOR": "sed -i s/before/after/"}), "configmap/ed edited")
    assert k.json("get cm ed")["data"] == {"a": "after"}
    has(k("replace -f -", given=config_map("ed", "b: c")), "configmap/ed replaced")
    assert k.json("get cm ed")["data"] == {"b": "c"}
    old = k.json("get cm ed")
    k("label cm ed x=y")
    has(k("replace -f -", given=json.dumps(old), expect=1), "the object has been modified")
    has(k("replace --force -f -", given=config_map("ed", "d: e")), 'configmap "ed" deleted', "configmap/ed replaced")
    k("set data cm ed f=g", expect=None)


@step
def scale(k):
    k("create deployment sc --image=example.com/none:1 --replicas=0")
    has(k("scale deployment sc --replicas=1"), "deployment.apps/sc scaled")
    assert k.json("get deployment sc")["spec"]["replicas"] == 1
    has(k("scale deployment sc --replicas=2 --current-replicas=5", expect=1), "Expected replicas to be 5, was 1")
    k("delete deployment sc")
    k.apply(k.gadget("sc", 1, ", replicas: 1"))
    has(k(f"scale gadgets.{k.group} sc --replicas=4"), "scaled")
    assert k.json("get gadget sc")["spec"]["replicas"] == 4


@step
def rollout(k):
    k("create deployment ro --image=example.com/a:1 --replicas=0")
    if not k.has_controllers():
        raise Skipped("nobody works on Deployments")
    has(k("rollout status deployment ro --timeout=30s"), "successfully rolled out")
    has(k("rollout restart deployment ro"), "restarted")
    assert "kubectl.kubernetes.io/restartedAt" in k.json("get deployment ro")["spec"]["template"]["metadata"]["annotations"]
    has(k("rollout status deployment ro --timeout=30s"), "successfully rolled out")
    has(k("rollout history deployment ro"), "REVISION")
    has(k("rollout pause deployment ro"), "paused")
    has(k("rollout resume deployment ro"), "resumed")
    k("delete deployment ro")


@step
def waiting(k):
    k.apply(k.gadget("wt", 1))
    has(k("wait --for=jsonpath={.spec.size}=1 gadget/wt --timeout=5s"), "condition met")
    has(k("wait --for=jsonpath={.status.phase}=Ready gadget/wt --timeout=1s", expect=1), "timed out waiting for the condition")
    waiting = subprocess.Popen(k.words("wait --for=delete gadget/wt --timeout=30s"), env=k.environment, stdout=subprocess.PIPE, text=True)
    k("delete gadget wt")
    assert waiting.wait(30) == 0
    has(k("wait --for=delete gadget/wt --timeout=5s"), "")


@step
def watching(k):
    k.apply(config_map("w1", meta=", labels: {watched: 'y'}"))
    process = subprocess.Popen(
        k.words("get cm -l watched=y --watch --output-watch-events --no-headers"), env=k.environment, stdout=subprocess.PIPE, text=True)
    line = lambda: process.stdout.readline().split()[:2]
    try:
        assert line() == ["ADDED", "w1"]
        k.apply(config_map("w2", meta=", labels: {watched: 'y'}"))
        assert line() == ["ADDED", "w2"]
        k("label cm w2 more=1")
        assert line() == ["MODIFIED", "w2"]
        k("label cm w2 watched-")
        assert line() == ["DELETED", "w2"]
        k("delete cm w1")
        assert line() == ["DELETED", "w1"]
    finally:
        process.kill()
        process.wait()


# Access

@step
def questions_about_rights(k):
    assert k("auth can-i create pods") == "yes\n"
    k("create serviceaccount asker")
    who = f"--as=system:serviceaccount:{k.namespace}:asker"
    has(k(f"auth can-i list configmaps {who}", expect=1), "no")
    has(k(f"get cm {who}", expect=1), "cannot list resource \"configmaps\" in API group \"\"")
    k("create role asker --verb=list --resource=configmaps")
    k(f"create rolebinding asker --role=asker --serviceaccount={k.namespace}:asker")
    assert k(f"auth can-i list configmaps {who}") == "yes\n"
    has(k(f"auth can-i list secrets {who}", expect=1), "no")
    has(k(f"auth can-i --list {who}"), "configmaps", "[list]")
    k(f"get cm {who}")
    has(k(f"auth whoami {who}"), f"system:serviceaccount:{k.namespace}:asker", "system:serviceaccounts")


@step
def tokens(k):
    k("create serviceaccount bearer")
    token = k.out("create token bearer --duration=10m").strip()
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["sub"] == f"system:serviceaccount:{k.namespace}:bearer" and claims["exp"] - claims["iat"] == 600, claims
    other = k.out("create token bearer --audience=elsewhere").strip()
    config = json.loads(k.out("config view --raw --minify -o json"))
    cluster = config["clusters"][0]["cluster"]

    def of(token):
        authority = cluster.get("certificate-authority-data")
        path = k.file("ca.crt", base64.b64decode(authority).decode()) if authority else cluster["certificate-authority"]
        return k.run(
            "auth whoami", "--server", cluster["server"], "--certificate-authority", path, "--token", token,
            environment={"KUBECONFIG": k.file("empty", "")})

    has(of(token).stdout, f"system:serviceaccount:{k.namespace}:bearer")
    refused = of(other)
    assert refused.returncode == 1 and "Unauthorized" in refused.stderr, refused
    has(k("create token bearer --duration=1m", expect=1), "may not specify a duration less than 10 minutes")
    has(k("create token absent", expect=1), 'serviceaccounts "absent" not found')
    k("delete serviceaccount bearer")
    assert of(token).returncode == 1


# Deleting

@step
def deletion_with_finalizers(k):
    k.apply(config_map("fin", meta=", finalizers: [example.com/hold]"))
    k("delete cm fin --wait=false")
    assert k.json("get cm fin")["metadata"]["deletionTimestamp"]
    has(k("delete cm fin --timeout=1s", expect=1), "timed out waiting for the condition")
    k("patch cm fin --type=json -p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    has(k("get cm fin", expect=1), "not found")


@step
def deletion_of_many(k):
    for name in ("d1", "d2", "d3"):
        k.apply(config_map(name, meta=", labels: {go: 'y'}"))
    has(k("delete cm -l go=y"), '"d1" deleted', '"d2" deleted', '"d3" deleted')
    has(k("delete cm d1", expect=1), "not found")
    k("delete cm d1 --ignore-not-found")
    k.apply(k.gadget("all1") + "---\n" + k.gadget("all2"))
    k("delete gadgets --all")
    has(k("get gadgets"), "No resources found")
    has(k("delete cm kept --dry-run=server", expect=1), "not found")


def owned(k, name, owner):
    uid = k.json(f"get cm {owner}")["metadata"]["uid"]
    meta = f", ownerReferences: [{{apiVersion: v1, kind: ConfigMap, name: {owner}, uid: {uid}, blockOwnerDeletion: true}}]"
    k.apply(config_map(name, meta=meta))


@step
def cascades(k):
    if not k.has_controllers():
        raise Skipped("nobody collects what has no owner")
    gone = lambda name: k.run(f"get cm {name}").returncode == 1
    for cascade in ("background", "foreground", "orphan"):
        owner, part = f"owner-{cascade}", f"part-{cascade}"
        k.apply(config_map(owner))
        owned(k, part, owner)
        k(f"delete cm {owner} --cascade={cascade}")
        if cascade == "orphan":
            assert not k.json(f"get cm {part}")["metadata"].get("ownerReferences")
        else:
            k.until(lambda: gone(part), f"the end of {part}")


@step
def a_namespace_ends_with_what_is_in_it(k):
    if not k.has_controllers():
        raise Skipped("nobody ends namespaces")
    name = f"{k.namespace}-gone"
    k(f"create namespace {name}")
    k("create configmap inside -n", name)
    k(f"delete namespace {name}", timeout=90)
    has(k(f"get namespace {name}", expect=1), "not found")
    has(k("delete namespace kube-system", expect=1), "this namespace may not be deleted")


# Rules that people add

@step
def a_policy_is_enforced(k):
    name = f"policy-{k.suffix}"
    k.apply(f"""
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints: {{resourceRules: [{{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}}]}}
  validations: [{{expression: "!has(object.data) || !('bad' in object.data)", message: nothing bad, reason: Forbidden}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec:
  policyName: {name}
  validationActions: [Deny]
  matchResources: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {k.namespace}}}}}}}
""")
    try:
        refused = lambda: k.run("create configmap bad --from-literal=bad=1 --dry-run=server")
        k.until(lambda: refused().returncode == 1, "the policy in force")
        has(refused().stderr, f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: nothing bad")
        k("create configmap good --from-literal=good=1")
    finally:
        k(f"delete validatingadmissionpolicybinding,validatingadmissionpolicy {name}")
    has(k.apply(f"""
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints: {{resourceRules: [{{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}}]}}
  validations: [{{expression: "object.("}}]
""", expect=1), "Syntax error")


@step
def a_quota_is_enforced(k):
    k("create quota few --hard=count/jobs.batch=0")
    refused = lambda: k.run("create job q1 --image=example.com/a:1")
    text = k.until(lambda: (lambda r: r.stderr if r.returncode else k("delete job q1 --wait=false") and "")(refused()), "the quota in force")
    has(text, "exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=0, limited: count/jobs.batch=0")
    k("delete quota few")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--kubectl", default="kubectl")
    parser.add_argument("--image", default="host", help="one with sh, tar, and python3 or httpd (default: the local cluster's own)")
    parser.add_argument("--only", nargs="*", choices=list(STEPS))
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        k = Kubectl(arguments.kubectl, arguments.kubeconfig, directory, arguments.image)
        k.setup()
        try:
            for name in arguments.only or STEPS:
                began = time.monotonic()
                try:
                    STEPS[name](k)
                    outcome = "ok"
                except Skipped as reason:
                    outcome = f"skipped: {reason}"
                except Exception as error:
                    failed += 1
                    outcome = f"FAILED\n    {type(error).__name__}: {error}".replace("\n", "\n    ")
                print(f"{name.replace('_', ' '):60} {time.monotonic() - began:5.1f} s  {outcome}", flush=True)
        finally:
            k.teardown()
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
