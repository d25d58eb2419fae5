"""Steps of kubectl that need a node: pods that run, are read, entered, reached and ended; see kubectl_steps.py."""
import http.client
import json
import re
import subprocess

from kubectl_driver import Skipped, has, lacks, step

WEB = "echo ready to serve; cd /tmp; echo hello > index.html; if command -v python3 > /dev/null; then exec python3 -m http.server 8080; else exec httpd -f -p 8080; fi"
LOOP = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


def node_step(function):
    def run(k):
        if not k.has_node():
            raise Skipped("no node")
        function(k)
    run.__name__ = function.__name__
    return step(run)


def pod(k, name, script=LOOP, extra="", meta=""):
    k.apply(f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}{meta}}}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: main
    image: {k.image}
    command: [sh, -c, {json.dumps(script)}]
{extra}
""")


def web(k):
    """A pod that serves, made once for several steps."""
    if k.run("get pod web").returncode != 0:
        has(k(f"run web --image={k.image} --labels=app=web --port=8080 --command -- sh -c", WEB), "pod/web created")
    k("wait --for=condition=Ready pod/web --timeout=30s")


def deployment(k, name, replicas):
    k(f"create deployment {name} --image={k.image} --replicas={replicas} -- sh -c", LOOP)
    has(k(f"rollout status deployment {name} --timeout=60s"), f'deployment "{name}" successfully rolled out')


def gone(k, what):
    return k.run(f"get {what}").returncode == 1


@node_step
def a_pod_in_every_output(k):
    web(k)
    assert re.match(r"NAME +READY +STATUS +RESTARTS +AGE\nweb +1/1 +Running +0 +\d+s\n", k("get pod web"))
    assert re.match(r"NAME .* IP +NODE +NOMINATED NODE +READINESS GATES\nweb +1/1 +Running +0 +\d+s +[0-9a-f.:]+ +\S+ +<none> +<none>\n", k("get pod web -o wide"))
    stored = k.json("get pod web")
    assert stored["status"]["phase"] == "Running" and stored["spec"]["containers"][0]["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]
    has(k("get pod web -o yaml"), "kind: Pod", "phase: Running", "containerID: ")
    assert k("get pod web -o name") == "pod/web\n"
    assert k("get pod web", "-o", "jsonpath={.status.containerStatuses[0].ready}") == "true"
    assert k("get pod web", "-o", "go-template={{range .status.conditions}}{{.type}} {{end}}").split()[:2] == ["PodReadyToStartContainers", "Initialized"]
    assert k("get pod web -o custom-columns=P:.status.phase,N:.spec.nodeName").split() == ["P", "N", "Running", stored["spec"]["nodeName"]]
    names = lambda line: k.out(f"get pods -o name {line}").split()
    assert "pod/web" in names("--field-selector status.phase=Running")
    assert names("--field-selector status.phase!=Running,metadata.name=web") == []
    assert "pod/web" in names(f"--field-selector spec.nodeName={stored['spec']['nodeName']}")
    assert re.search(r"NAME +STATUS +ROLES +AGE +VERSION +INTERNAL-IP .*CONTAINER-RUNTIME\n\S+ +Ready +", k("get nodes -o wide"))
    has(k("events --for pod/web"), "Scheduled", "Pulled", "Created", "Started")
    has(k("get events --field-selector involvedObject.name=web"), "Started")


@node_step
def describe_of_what_runs(k):
    web(k)
    node = k.out("get pod web -o jsonpath={.spec.nodeName}")
    has(k("describe pod web"), f"Node:             {node}/", "Status:           Running", "Container ID:", "Started:", "Ready:          True",
        "PodScheduled", "QoS Class:                   BestEffort", "Successfully assigned", "Container started")
    has(k(f"describe node {node}"), "Conditions:", "KubeletReady", "Capacity:", "Allocatable:", "Non-terminated Pods:", f"{k.namespace}", "Allocated resources:")
    deployment(k, "told", 1)
    has(k("describe deployment told"), "1 desired | 1 updated | 1 total | 1 available | 0 unavailable", "Available      True    MinimumReplicasAvailable",
        "NewReplicaSet:   told-", "ScalingReplicaSet")
    has(k("describe replicaset -l app=told"), "Controlled By:  Deployment/told", "1 Running / 0 Waiting", "SuccessfulCreate")
    k("delete deployment told")


@node_step
def logs(k):
    pod(k, "talks", "echo one; echo two >&2; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo three", extra="  restartPolicy: Never", meta=", labels: {app: talks}")
    k("wait --for=condition=Ready pod/talks --timeout=30s")
    k.until(lambda: k.out("logs talks") == "one\ntwo\n", "the first lines")
    assert k.out("logs talks --tail=1") == "two\n"
    assert re.match(r"\d{4}-\d\d-\d\dT\S+Z one\n", k.out("logs talks --timestamps"))
    assert k.out("logs talks --limit-bytes=4") == "one\n"
    assert k.out("logs talks --since=1h -c main") == "one\ntwo\n"
    assert k.out("logs -l app=talks --prefix --tail=-1") == "[pod/talks/main] one\n[pod/talks/main] two\n"
    following = subprocess.Popen(k.words("logs -f talks"), env=k.environment, stdout=subprocess.PIPE, text=True)
    try:
        assert [following.stdout.readline() for _ in range(2)] == ["one\n", "two\n"]
        k("exec talks -- touch /tmp/go")
        assert following.communicate(timeout=30)[0] == "three\n" and following.returncode == 0
    finally:
        following.kill()
    k("wait --for=jsonpath={.status.phase}=Succeeded pod/talks --timeout=30s")
    assert k.out("logs talks") == "one\ntwo\nthree\n"
    has(k("logs talks -c nosuch", expect=1), "container nosuch is not valid for pod talks")
    has(k("logs talks --previous", expect=1), 'previous terminated container "main" in pod "talks" not found')
    has(k("exec talks -- true", expect=1), "cannot exec into a container in a completed pod")
    k("delete pod talks")


@node_step
def logs_of_a_run_before(k):
    pod(k, "again", "echo run; [ -e /keep/been ] && exec sleep 1000; touch /keep/been; exit 3", extra="""
    volumeMounts: [{name: keep, mountPath: /keep}]
  volumes: [{name: keep, emptyDir: {}}]""")
    k("wait --for=jsonpath={.status.containerStatuses[0].restartCount}=1 pod/again --timeout=30s")
    k("wait --for=condition=Ready pod/again --timeout=30s")
    assert k.out("logs again --previous") == "run\n"
    assert k.json("get pod again")["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 3
    k("delete pod again --now")


@node_step
def exec_of_commands(k):
    web(k)
    result = k.run("exec web -- sh -c", "echo out; echo err >&2; exit 7")
    assert (result.returncode, result.stdout) == (7, "out\n") and result.stderr.startswith("err\n"), result
    assert k.out("exec -i web -- cat", given="through\nboth ways\n") == "through\nboth ways\n"
    assert k.out("exec -i web -- wc -c", given="x" * 3_000_000).strip() == "3000000"
    # Without -i nothing is given, and the end is there at once.
    assert k.out("exec web -- cat", given="not sent") == ""
    assert k.out("exec -i web -c web -- sh -c", "[ -t 0 ] || echo no terminal", given="") == "no terminal\n"
    assert len(k.out("exec web -- sh -c", "head -c 2000000 /dev/zero | tr '\\0' x")) == 2_000_000
    has(k("exec web -- nosuchprogram", expect=None), "nosuchprogram")
    has(k("exec web -c nosuch -- true", expect=1), "container nosuch")
    has(k("exec absent -- true", expect=1), 'pods "absent" not found')


@node_step
def attaching(k):
    pod(k, "ticks", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done")
    k("wait --for=condition=Ready pod/ticks --timeout=30s")
    attached = subprocess.Popen(k.words("attach ticks"), env=k.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert attached.stdout.readline().startswith("tick ")
    finally:
        attached.kill()
        attached.wait()
    k("delete pod ticks --now")
    has(k(f"run once --image={k.image} --restart=Never --attach --rm --command -- sh -c", "sleep 1; echo done once; sleep 0.5"), "done once")
    assert gone(k, "pod once")


class Forward:
    """`kubectl port-forward`, as long as the block."""

    def __init__(self, k, what):
        self.process = subprocess.Popen(k.words(f"port-forward {what}"), env=k.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        line = self.process.stdout.readline()
        found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> \d+", line)
        assert found, line + self.process.stderr.read()
        self.port = int(found.group(1))
        return self

    def get(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", "/index.html")
        try:
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


@node_step
def forwarding_of_ports(k):
    web(k)
    k.until(lambda: k.run("exec web -- sh -c", "test -e /tmp/index.html").returncode == 0, "the page")
    with Forward(k, "pod/web :8080") as forward:
        k.until(lambda: answered(forward), "an answer")
        assert [forward.get() for _ in range(20)] == ["hello\n"] * 20
    k("expose pod web --port=80 --target-port=8080 --name=web")
    with Forward(k, "service/web :80") as forward:
        assert forward.get() == "hello\n"
    with Forward(k, "pod/web :9") as forward:
        assert not answered(forward)
        has(forward.process.stderr.readline() + forward.process.stderr.readline(), "9")


def answered(forward):
    try:
        return forward.get() == "hello\n"
    except (OSError, http.client.HTTPException):
        return False


@node_step
def services_of_pods(k):
    web(k)
    if gone(k, "service web"):
        k("expose pod web --port=80 --target-port=8080 --name=web")
    address = k.out("get pod web -o jsonpath={.status.podIP}")
    k.until(lambda: f"{address}:8080" in k("describe service web"), "the endpoint")
    assert re.search(r"IPv4 +8080 +" + re.escape(address), k("get endpointslices -l kubernetes.io/service-name=web"))
    k("delete service web")


@node_step
def copies(k):
    web(k)
    if k.run("exec web -- tar --version").returncode != 0:
        raise Skipped("the image has no tar")
    there = k.directory / "there"
    (there / "deep").mkdir(parents=True)
    (there / "deep/file").write_text("deep\n")
    (there / "bytes").write_bytes(bytes(range(256)) * 4_000)
    k("cp", str(there), "web:/tmp/copied")
    assert k.out("exec web -- cat /tmp/copied/deep/file") == "deep\n"
    k("cp web:/tmp/copied", str(k.directory / "back"))
    assert (k.directory / "back/bytes").read_bytes() == (there / "bytes").read_bytes()
    # What tar says of it comes or not, as kubectl ends with the first of its two streams.
    k("cp web:/tmp/absent", str(k.directory / "none"), expect=None)
    assert not (k.directory / "none").exists()


@node_step
def waiting_for_pods(k):
    pod(k, "held", extra="    readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}")
    k("wait --for=jsonpath={.status.phase}=Running pod/held --timeout=30s")
    has(k("wait --for=condition=Ready pod/held --timeout=1s", expect=1), "timed out waiting for the condition")
    k("exec held -- touch /tmp/ready")
    has(k("wait --for=condition=Ready pod/held --timeout=30s"), "pod/held condition met")
    k("exec held -- rm /tmp/ready")
    has(k("wait --for=condition=Ready=false pod/held --timeout=30s"), "pod/held condition met")
    ending = subprocess.Popen(k.words("wait --for=delete pod/held --timeout=30s"), env=k.environment, stdout=subprocess.PIPE, text=True)
    has(k("delete pod held"), 'pod "held" deleted')
    assert gone(k, "pod held") and ending.wait(30) == 0
    k(f"create job sums --image={k.image} -- sh -c", "echo 42")
    has(k("wait --for=condition=complete job/sums --timeout=30s"), "job.batch/sums condition met")
    assert k.out("logs job/sums") == "42\n"
    k("delete job sums")
    k.until(lambda: k.out("get pods -l job-name=sums -o name") == "", "the end of the Job's pod")


@node_step
def deletion_of_pods(k):
    stubborn = "trap '' TERM; while :; do sleep 0.1; done"
    pod(k, "slow", stubborn)
    pod(k, "kept", meta=", finalizers: [example.com/hold]")
    k("wait --for=condition=Ready pod/slow pod/kept --timeout=30s")
    k("delete pod slow --wait=false --grace-period=30")
    assert k.json("get pod slow")["metadata"]["deletionGracePeriodSeconds"] == 30
    has(k("get pod slow"), "Terminating")
    # A shorter time takes the place of a longer one.
    k("delete pod slow --grace-period=1", timeout=20)
    assert gone(k, "pod slow")
    pod(k, "slow", stubborn)
    k("wait --for=condition=Ready pod/slow --timeout=30s")
    has(k("delete pod slow --force --grace-period=0"), "Immediate deletion does not wait", 'pod "slow" force deleted')
    assert gone(k, "pod slow")
    k("delete pod kept --wait=false")
    k.until(lambda: ended(k.json("get pod kept")), "the end of its containers")
    k("patch pod kept --type=json -p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    k.until(lambda: gone(k, "pod kept"), "the end of the pod")


def ended(pod):
    return all("terminated" in c["state"] for c in pod["status"]["containerStatuses"])


@node_step
def cascades_of_deployments(k):
    owners = lambda kind: k.json(f"get {kind} -l app=layers")["items"]
    deployment(k, "layers", 2)
    k("delete deployment layers --cascade=orphan")
    sets = owners("replicasets")
    assert len(sets) == 1 and "ownerReferences" not in sets[0]["metadata"]
    k(f"delete replicaset {sets[0]['metadata']['name']} --cascade=orphan")
    pods = owners("pods")
    assert len(pods) == 2 and all("ownerReferences" not in p["metadata"] and p["status"]["phase"] == "Running" for p in pods)
    # The same selector finds them again.
    deployment(k, "layers", 2)
    k("delete deployment layers --cascade=foreground")
    assert owners("replicasets") == []
    k.until(lambda: all(p["metadata"]["name"] in {q["metadata"]["name"] for q in pods} for p in owners("pods")), "the end of its pods")
    k("delete pods -l app=layers --now")
    deployment(k, "layers", 1)
    k("delete deployment layers")
    k.until(lambda: owners("replicasets") == [] and owners("pods") == [], "the end of all")


@node_step
def rollout_of_pods(k):
    deployment(k, "roll", 2)
    k("annotate deployment roll kubernetes.io/change-cause=first")
    k("set env deployment/roll MODE=second")
    has(k("rollout status deployment roll --timeout=60s"), "successfully rolled out")
    k("annotate deployment roll kubernetes.io/change-cause=second --overwrite")
    assert re.search(r"REVISION +CHANGE-CAUSE\n1 +first\n2 +second\n", k("rollout history deployment roll"))
    has(k("rollout history deployment roll --revision=2"), "MODE:\tsecond")
    environment = lambda: k.json("get deployment roll")["spec"]["template"]["spec"]["containers"][0].get("env")
    assert environment() == [{"name": "MODE", "value": "second"}]
    has(k("rollout undo deployment roll"), "deployment.apps/roll rolled back")
    has(k("rollout status deployment roll --timeout=60s"), "successfully rolled out")
    assert not environment()
    has(k("rollout undo deployment roll --to-revision=2"), "rolled back")
    k("rollout status deployment roll --timeout=60s")
    assert environment() == [{"name": "MODE", "value": "second"}]
    has(k("rollout undo deployment roll --to-revision=99", expect=1), "unable to find specified revision 99")
    names = set(k.out("get pods -l app=roll -o name").split())
    k("rollout restart deployment roll")
    k("rollout status deployment roll --timeout=60s")
    k.until(lambda: len(k.out("get pods -l app=roll -o name").split()) == 2, "the end of the old pods")
    assert names.isdisjoint(k.out("get pods -l app=roll -o name").split())
    k("set image deployment/roll", f"{k.out('get deployment roll -o jsonpath={.spec.template.spec.containers[0].name}')}=example.com/none:1")
    has(k("rollout status deployment roll --timeout=1s", expect=1), "timed out waiting for the condition")
    k.until(lambda: re.search(r"ErrImagePull|ImagePullBackOff", k("get pods -l app=roll")), "the missing image")
    assert k.json("get deployment roll")["status"]["availableReplicas"] == 2
    k("delete deployment roll")


@node_step
def a_node_is_set_aside(k):
    pod(k, "evicted", meta=", labels: {app: evicted}")
    k("wait --for=condition=Ready pod/evicted --timeout=30s")
    node = k.out("get pod evicted -o jsonpath={.spec.nodeName}")
    try:
        has(k(f"cordon {node}"), "cordoned")
        has(k("get nodes"), "SchedulingDisabled")
        has(k(f"drain {node} --pod-selector=app=evicted --force --ignore-daemonsets --timeout=30s"), "evicting pod", "drained")
        assert gone(k, "pod evicted")
    finally:
        k(f"uncordon {node}")
    lacks(k("get nodes"), "SchedulingDisabled")


@node_step
def a_token_bound_to_a_pod(k):
    pod(k, "bound")
    token = k.out("create token default --bound-object-kind=Pod --bound-object-name=bound", "--duration=10m").strip()
    review = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}})
    ask = lambda: json.loads(k("create --validate=false -o json -f -", given=review))["status"]
    found = ask()
    assert found["authenticated"] and found["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["bound"], found
    k("delete pod bound --now")
    k.until(lambda: not ask().get("authenticated"), "the end of the token")
