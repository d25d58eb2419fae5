"""Pods through sudden deaths of their cluster: what was asked for, what the API says, and what this machine runs."""
import glob
import hashlib
import http.client
import os
import pathlib
import random
import threading
import time
import uuid

from cluster import Failed

PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SLOTS = 3


def ready(pod):
    conditions = {c["type"]: c["status"] for c in pod.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True" and pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]


class PodWriter(threading.Thread):
    """Creates and deletes pods of its own, scales and changes a Deployment, until a request is not answered."""

    def __init__(self, cluster, wanted, seed):
        super().__init__(daemon=True)
        self.cluster, self.wanted, self.random = cluster, wanted, random.Random(seed)
        self.count, self.fault = 0, None

    def run(self):
        try:
            while True:
                self.write()
                self.count += 1
                # So that some are killed while they start, some while they run, and some while they end.
                time.sleep(self.random.uniform(0, 0.1))
        except (OSError, http.client.HTTPException):
            pass
        except Exception as error:  # told by the main thread
            self.fault = error

    def write(self):
        wanted, name = self.wanted, f"{self.wanted.prefix}-{self.random.randrange(SLOTS)}"
        action = self.random.random()
        if action < 0.15:
            wanted.pending = ("replicas", self.random.randrange(1, 4))
            self.patch({"spec": {"replicas": wanted.pending[1]}})
            wanted.replicas = wanted.pending[1]
        elif action < 0.2:
            wanted.pending = ("revision", str(self.random.randrange(1 << 30)))
            self.patch({"spec": {"template": {"metadata": {"annotations": {"revision": wanted.pending[1]}}}}})
            wanted.revision = wanted.pending[1]
        elif name in wanted.pods:
            wanted.pending = ("delete", name)
            self.cluster.call("DELETE", f"{PODS}/{name}")
            del wanted.pods[name]
        else:
            wanted.pending = ("create", name)
            try:
                made = self.cluster.call("POST", PODS, wanted.pod(name))
                wanted.pods[name] = made["metadata"]["uid"]
            except Failed as error:
                if error.code != 409:
                    raise
                # The one before it is still ending.
        wanted.pending = None

    def patch(self, change):
        self.cluster.call("PATCH", f"{DEPLOYMENTS}/{self.wanted.prefix}-fleet", change, "application/merge-patch+json")


class WantedPods:
    """What was acknowledged: pods by name and uid, a Deployment, and one pod that nobody ever touches."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.prefix = f"kill{uuid.uuid4().hex[:6]}"
        self.mark = f"KARS_KILL_TEST={self.prefix}"
        self.pods, self.replicas, self.revision = {}, 2, "0"
        # The write whose answer never came.
        self.pending = None
        self.lasting = None

    def container(self):
        name, value = self.mark.split("=")
        return {
            "name": "c", "image": "host", "command": ["sleep", "100000"],
            "env": [{"name": name, "value": value}, {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}],
            "readinessProbe": {"exec": {"command": ["test", "-e", "/config/v"]}, "periodSeconds": 1},
            "volumeMounts": [{"name": "config", "mountPath": "/config"}],
        }

    def spec(self):
        return {
            "terminationGracePeriodSeconds": 2, "containers": [self.container()],
            "volumes": [{"name": "config", "configMap": {"name": f"{self.prefix}-config"}}],
        }

    def pod(self, name):
        return {"metadata": {"name": name}, "spec": self.spec()}

    def begin(self):
        self.cluster.call("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": f"{self.prefix}-config"}, "data": {"v": "1"}})
        labels = {"app": self.prefix}
        self.cluster.call("POST", DEPLOYMENTS, {
            "metadata": {"name": f"{self.prefix}-fleet"},
            "spec": {"replicas": self.replicas, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels, "annotations": {"revision": self.revision}}, "spec": self.spec()}}})
        name = f"{self.prefix}-lasting"
        self.pods[name] = self.cluster.call("POST", PODS, self.pod(name))["metadata"]["uid"]
        self.settle()
        self.lasting = self.process_of(self.pods[name])

    # What the API says

    def take_over(self):
        """After a crash, before anything settles: every acknowledged write is there, the unacknowledged one is or is not."""
        deployment = self.cluster.call("GET", f"{DEPLOYMENTS}/{self.prefix}-fleet")["spec"]
        present = {p["metadata"]["name"]: p["metadata"] for p in self.listed()}
        kind, what = self.pending or (None, None)
        replicas, revision = deployment["replicas"], deployment["template"]["metadata"]["annotations"]["revision"]
        if replicas != self.replicas and (kind, what) != ("replicas", replicas):
            raise AssertionError(f"the Deployment was scaled to {self.replicas} and has {replicas}")
        if revision != self.revision and (kind, what) != ("revision", revision):
            raise AssertionError(f"the Deployment's template was given revision {self.revision} and has {revision}")
        self.replicas, self.revision = replicas, revision
        if kind == "create" and what in present and "deletionTimestamp" not in present[what]:
            self.pods[what] = present[what]["uid"]
        if kind == "delete" and (what not in present or "deletionTimestamp" in present[what]):
            del self.pods[what]
        for name, uid in self.pods.items():
            if present.get(name, {}).get("uid") != uid or "deletionTimestamp" in present[name]:
                raise AssertionError(f"pod {name} was acknowledged as {uid} and is {present.get(name)}")
        self.pending = None

    def listed(self):
        return [p for p in self.cluster.call("GET", PODS)["items"] if p["metadata"]["name"].startswith(self.prefix)]

    def unsettled(self):
        """What is not yet as asked for; the pods otherwise."""
        deployment = self.cluster.call("GET", f"{DEPLOYMENTS}/{self.prefix}-fleet")
        status, pods = deployment.get("status", {}), self.listed()
        if status.get("observedGeneration") != deployment["metadata"]["generation"]:
            return "the Deployment has not been looked at", pods
        counts = [status.get(k, 0) for k in ("replicas", "updatedReplicas", "readyReplicas")]
        if counts != [self.replicas] * 3:
            return f"the Deployment has {counts} replicas (all, updated, ready), wanted {self.replicas}", pods
        own = {p["metadata"]["name"]: p["metadata"]["uid"] for p in pods if not p["metadata"].get("ownerReferences")}
        if own != self.pods:
            return f"pods are {own}, wanted {self.pods}", pods
        if len(pods) != len(own) + self.replicas:
            return f"there are {len(pods)} pods, wanted {len(own) + self.replicas}", pods
        waiting = [p["metadata"]["name"] for p in pods if not ready(p)]
        return (f"{waiting} are not ready", pods) if waiting else (None, pods)

    def settle(self, seconds=60):
        """Until the API and the machine are as asked for; returns the pods."""
        end = time.monotonic() + seconds
        while True:
            problem, pods = self.unsettled()
            problem = problem or self.machine_problem(pods)
            if not problem:
                return pods
            if time.monotonic() > end:
                raise AssertionError(f"{problem} after {seconds} s: {[(p['metadata']['name'], p['metadata']['uid'], p.get('status', {}).get('phase'), ready(p)) for p in pods]}")
            time.sleep(0.05)

    # What the machine runs

    def process_of(self, uid):
        found = [p for p in processes() if p.has(self.mark) and p.has(f"POD={uid}")]
        return (found[0].pid, found[0].started) if len(found) == 1 else None

    def machine_problem(self, pods):
        """What runs or lies on this machine that should not, or does not and should."""
        uids = sorted(p["metadata"]["uid"] for p in pods)
        running = list(processes())
        commands = sorted(p.variable("POD") for p in running if p.has(self.mark))
        if commands != uids:
            return f"commands run of {commands}, wanted one of each of {uids}"
        node = str(self.cluster.directory / "node")
        # A supervisor and what cleans up after it.
        supervisors = sorted(p.words[2].rsplit("/", 1)[1] for p in running if p.words[1:2] == ["pod-supervisor"] and p.words[2].startswith(node))
        if supervisors != sorted(uids * 2):
            return f"supervisors run of {supervisors}, wanted two processes of each of {uids}"
        for what, found in (("directories", listing(f"{node}/pods")), ("directories in memory", listing(self.memory))):
            if found != uids:
                return f"there are {what} of {found}, wanted {uids}"
        addresses = [p["status"]["podIP"] for p in pods if "podIP" in p["status"]]
        if len(set(addresses)) != len(addresses):
            return f"two pods have one address: {addresses}"
        if self.lasting and self.process_of(self.pods[f"{self.prefix}-lasting"]) != self.lasting:
            return "the process of a pod that nobody touched is another one"
        if os.geteuid() == 0:
            # The node's own is held by descriptors of its processes, which are looked for.
            networks = {p.network for p in running if self.owns(p)} - {host_network()}
            if len(networks) != len(uids):
                return f"processes are in {len(networks)} network namespaces, wanted one of each of {len(uids)} pods"
            holders = [p.pid for p in running if self.owns(p) and p.words[1:2] == ["node-network"]]
            if len(holders) > 2:
                return f"{len(holders)} processes hold a network of the node, wanted 2"
            ways_out = [p.pid for p in running if self.owns(p) and p.words[:1] == ["pasta"]]
            if len(ways_out) > 1:
                return f"{len(ways_out)} ways out run"
            groups = control_groups(self.prefix)
            if len(groups) > len(uids):
                return f"control groups are left: {groups}"
        return None

    @property
    def memory(self):
        digest = hashlib.sha256(str(self.cluster.directory / "node").encode()).hexdigest()[:16]
        return f"/dev/shm/kars-{os.geteuid()}-{digest}"

    def owns(self, process):
        """By its command line, its environment or a file that it has open: what a dead cluster left has no parent any more."""
        return process.has(self.mark) or process.names(str(self.cluster.directory))

    def end(self):
        """Stops the cluster, stops and resets what is left of it when it is killed: each time nothing may be left."""
        self.cluster("stop")
        self.expect_nothing("after stop")
        for command, paths in ((("stop",), [self.memory]), (("reset", "--yes"), [self.memory, self.cluster.directory])):
            self.cluster.start()
            self.settle_after_stop()
            self.cluster.kill()
            self.cluster(*command)
            self.expect_nothing(f"by a killed cluster after {command[0]}")
            for path in paths:
                if pathlib.Path(path).exists():
                    raise AssertionError(f"{path} is left by a killed cluster after {command[0]}")

    def settle_after_stop(self):
        """Every process is a new one now."""
        self.lasting = None
        self.settle()

    def expect_nothing(self, when):
        left = [(p.pid, p.words) for p in processes() if self.owns(p)]
        mounts = [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if f"{self.cluster.directory}/" in line]
        groups = control_groups(self.prefix) if os.geteuid() == 0 else []
        if left or mounts or groups:
            raise AssertionError(f"left {when}: processes {left}, mounts {mounts}, control groups {groups}")


class Process:
    """One as /proc shows it; empty where it has ended meanwhile."""

    def __init__(self, pid):
        self.pid = pid
        self.words = self.strings("cmdline")
        self.environment = self.strings("environ")
        self.started = self.text("stat").rpartition(")")[2].split()[19:20]

    def text(self, name):
        try:
            return pathlib.Path(f"/proc/{self.pid}/{name}").read_text(errors="replace")
        except OSError:
            return ""

    def strings(self, name):
        return [s for s in self.text(name).split("\0") if s]

    def has(self, variable):
        # `kars` itself has none of these in its environment: only a container's command.
        return variable in self.environment

    def variable(self, name):
        return next((v.partition("=")[2] for v in self.environment if v.startswith(name + "=")), "")

    def names(self, directory):
        if any(directory in word for word in self.words):
            return True
        try:
            files = [os.readlink(f) for f in glob.glob(f"/proc/{self.pid}/fd/*")]
        except OSError:
            return False
        return any(f.startswith(directory + "/") for f in files)

    @property
    def network(self):
        try:
            return os.readlink(f"/proc/{self.pid}/ns/net")
        except OSError:
            return host_network()


def processes():
    """All but this one and its threads' kin."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            process = Process(int(name))
            if process.words:
                yield process


def host_network():
    return os.readlink("/proc/self/ns/net")


def listing(path):
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []


def control_groups(prefix):
    return glob.glob(f"/sys/fs/cgroup/**/*{prefix}*", recursive=True)
