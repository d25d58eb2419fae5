"""The controller with many sandboxes present, on the embedded cluster without its node: how soon a KarsSandbox becomes objects, what a
round costs, what is written at rest. Alone: scripts/bench_controller.py [--present N] [--measured N]."""
import argparse
import json
import pathlib
import re
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Tests/EndToEnd"))
from cluster import LocalCluster  # noqa: E402

HOME = "kars-system"
GROUP = f"/apis/kars.azure.com/v1alpha1/namespaces/{HOME}"
PROFILE = 'version: "2"\nagent: "bench"\ndefaultDecision: deny\npolicies:\n  - {name: all, type: capability, priority: 1, allowed_actions: ["inference:*"]}\n'
# Suspended: everything is made but the pod, for which there is no node.
SANDBOX = {
    "runtime": {"kind": "Native"}, "sandbox": {}, "suspended": True, "inferenceRef": {"name": "bench"},
    "governance": {"toolPolicyRef": {"name": "bench"}}}


class Bench:
    def __init__(self, directory):
        self.cluster = LocalCluster(directory)
        started = time.monotonic()
        self.cluster.start("--with-controller", "--without-node")
        self.wait(lambda: "controller.synced" in self.log(), "the controller")
        self.cold = time.monotonic() - started
        self.made, self.lock = {}, threading.Condition()
        threading.Thread(target=self.watch, daemon=True).start()

    def log(self):
        path = self.cluster.directory / "operator/controller.log"
        return path.read_text() if path.exists() else ""

    @staticmethod
    def wait(condition, what, seconds=300):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"error: {what} did not come")
            time.sleep(0.05)

    def watch(self):
        """Notes when each Deployment, which is made last, appears."""
        connection = self.cluster.connection(timeout=3600)
        connection.request("GET", "/apis/apps/v1/deployments?watch=1&timeoutSeconds=3600&labelSelector=kars.azure.com/component=sandbox")
        for line in connection.getresponse():
            event = json.loads(line)
            with self.lock:
                self.made.setdefault(event["object"]["metadata"]["name"], time.monotonic())
                self.lock.notify_all()

    def declare(self, kind, plural, name, spec):
        body = {"apiVersion": "kars.azure.com/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.cluster.call("POST", f"{GROUP}/{plural}", body)

    def create(self, prefix, count, gap):
        """Seconds from each creation to its last object."""
        begun = {}
        for number in range(count):
            name = f"{prefix}{number}"
            begun[name] = time.monotonic()
            self.declare("KarsSandbox", "karssandboxes", name, SANDBOX)
            time.sleep(gap)
        with self.lock:
            if not self.lock.wait_for(lambda: all(name in self.made for name in begun), timeout=600):
                raise SystemExit("error: sandboxes were not made")
        return sorted(self.made[name] - begun[name] for name in begun)

    def metrics(self):
        address = re.findall(r'"controller.listening","address":"([^"]+)"', self.log())[-1]
        return urllib.request.urlopen(f"http://{address}/metrics", timeout=10).read().decode()

    def rounds(self):
        return sum(int(count) for count in re.findall(r'kars_controller_reconcile_total\{crd_kind="KarsSandbox"[^}]*\} (\d+)', self.metrics()))

    def settle(self, still=3, seconds=600):
        """Until no round was made for a while: what is measured then is not what a backlog does."""
        end, rounds, since = time.monotonic() + seconds, -1, time.monotonic()
        while time.monotonic() - since < still:
            if time.monotonic() > end:
                raise SystemExit(f"error: rounds were still made after {seconds} s")
            if (now := self.rounds()) != rounds:
                rounds, since = now, time.monotonic()
            time.sleep(0.2)

    @property
    def process(self):
        return int(re.findall(r'"operator.started".*?"pid":(\d+)', (self.cluster.directory / "cluster.log").read_text())[-1])

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def resident(self):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.process}/status").read_text()).group(1)) / 1024

    def version(self):
        """Of the whole store: it moves with every write."""
        return int(self.cluster.call("GET", "/api/v1/namespaces?limit=1")["metadata"]["resourceVersion"])


def measure(figure, rounds=5, seconds=3, present=1000, measured=100):
    with tempfile.TemporaryDirectory(prefix="kars-bench-") as directory:
        bench = Bench(directory)
        try:
            figure("controller: cold start to synced", bench.cold, "s")
            model = {"primary": {"provider": "demo", "deployment": "kars-demo"}}
            bench.declare("InferencePolicy", "inferencepolicies", "bench", {"appliesTo": {}, "modelPreference": model})
            applies = {"tool": "*", "sandboxMatchLabels": {"team": "bench"}}
            bench.declare("ToolPolicy", "toolpolicies", "bench", {"appliesTo": applies, "agtProfile": {"inline": PROFILE}})
            began = time.monotonic()
            bench.create("present-", present, 0)
            bench.settle()
            figure(f"controller: {present} made at once until it rests", time.monotonic() - began, "s")
            before = bench.cpu(), bench.rounds()
            times = bench.create("measured-", measured, 0.2)
            figure(f"controller: created to objects applied, {present} present, p50", times[len(times) // 2] * 1000, "ms")
            figure(f"controller: created to objects applied, {present} present, p99", times[int(len(times) * 0.99)] * 1000, "ms", 2000, 300)
            figure("controller: CPU per round", (bench.cpu() - before[0]) / max(bench.rounds() - before[1], 1) * 1000, "ms")
            figure("controller: resident memory", bench.resident(), "MB", 150, 60)
            bench.settle()
            first = bench.version()
            objects = bench.cluster.call("GET", f"{GROUP}/karssandboxes?limit=2000")["items"]
            versions = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in objects}
            time.sleep(60)
            after = bench.cluster.call("GET", f"{GROUP}/karssandboxes?limit=2000")["items"]
            changed = sum(versions[item["metadata"]["name"]] != item["metadata"]["resourceVersion"] for item in after)
            figure("controller: writes to sandboxes per hour at rest", changed * 60, "1/h")
            figure("controller: all writes per hour at rest, lease included", (bench.version() - first) * 60, "1/h")
        finally:
            bench.cluster.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--present", type=int, default=1000)
    parser.add_argument("--measured", type=int, default=100)
    options = parser.parse_args()

    def show(name, value, unit, floor=None, target=None):
        print(f"{name:<70} {value:>10.1f} {unit}" + (f"   floor {floor}, target {target}" if floor else ""), flush=True)

    measure(show, present=options.present, measured=options.measured)
