#!/usr/bin/env python3
"""Kills the controller or the whole cluster with SIGKILL at random moments of changing sandboxes, and checks where it ends.

    controller_kill.py [--operations N] [--kills N] [--seed N] [--home DIRECTORY]

Sandboxes are created, changed and deleted one after the other; meanwhile, at random moments, either the controller's process is
killed, or the cluster with it, which is then started again. In the end exactly the sandboxes that were asked for are there, each
with what its specification asks for and of its own UID; of others nothing is left; and then nothing is written any more.

The sandboxes rest (`suspended`), so that the machine's size does not decide how many there may be; one that runs is in `test_controller.py`.
Exits with 1 at the first fault.
"""
import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time

from cluster import Failed, LocalCluster

HOME = "kars-system"
SANDBOXES = f"/apis/kars.azure.com/v1alpha1/namespaces/{HOME}/karssandboxes"
POLICIES = f"/apis/kars.azure.com/v1alpha1/namespaces/{HOME}/inferencepolicies"
NAMES = [f"s{number}" for number in range(12)]
SETTLE = 120
STILL = 5


class World:
    def __init__(self, cluster, chance):
        self.cluster, self.random = cluster, chance
        # Name → hosts that it may reach; what is not here is not to be there.
        self.wanted = {}
        self.lock = threading.Lock()

    def begin(self):
        self.cluster.start("--with-controller")
        self.cluster.call("POST", POLICIES, declared("InferencePolicy", "models", {
            "appliesTo": {}, "modelPreference": {"primary": {"provider": "demo", "deployment": "kars-demo"}}}))

    # What people do.

    def operate(self):
        """One operation, tried until the cluster has answered it."""
        name = self.random.choice(NAMES)
        hosts = [f"h{self.random.randrange(50)}.example" for _ in range(self.random.randrange(4))]
        hosts = sorted(set(hosts))
        spec = {
            "runtime": {"kind": "Native"}, "sandbox": {}, "inferenceRef": {"name": "models"}, "suspended": True,
            "networkPolicy": {"allowedEndpoints": [{"host": host} for host in hosts]}}
        if name not in self.wanted:
            self.until_done(lambda: self.create(name, spec))
            self.wanted[name] = hosts
        elif self.random.random() < 0.35:
            self.until_done(lambda: self.delete(name))
            del self.wanted[name]
        else:
            self.until_done(lambda: self.cluster.call("PATCH", f"{SANDBOXES}/{name}", {"spec": spec}, "application/merge-patch+json"))
            self.wanted[name] = hosts

    def create(self, name, spec):
        """One of the same name that is still being deleted has to be gone first."""
        while True:
            try:
                return self.cluster.call("POST", SANDBOXES, declared("KarsSandbox", name, spec))
            except Failed as failure:
                if failure.code != 409:
                    raise
                there = self.get(f"{SANDBOXES}/{name}")
                if there and "deletionTimestamp" not in there["metadata"]:
                    return there  # our own request, whose answer was lost
                time.sleep(0.05)

    def delete(self, name):
        try:
            self.cluster.call("DELETE", f"{SANDBOXES}/{name}")
        except Failed as failure:
            if failure.code != 404:  # our own request, whose answer was lost
                raise

    def until_done(self, body):
        end = time.monotonic() + SETTLE
        while True:
            try:
                return body()
            except (OSError, http.client.HTTPException):
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    # What happens to them.

    def kill(self):
        with self.lock:
            if self.random.random() < 0.7:
                for process in controllers(self.cluster):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                return "controller"
            self.cluster.kill()
            self.cluster.start("--with-controller")
            return "cluster"

    # What there has to be.

    def get(self, path):
        try:
            return self.cluster.call("GET", path)
        except Failed as failure:
            if failure.code == 404:
                return None
            raise

    def faults(self):
        """What is not as asked for, in words."""
        faults = []
        there = {item["metadata"]["name"]: item for item in self.cluster.call("GET", SANDBOXES)["items"]}
        faults += [f"{name} is there although it was deleted" for name in there.keys() - self.wanted.keys()]
        faults += [f"{name} is not there" for name in self.wanted.keys() - there.keys()]
        namespaces = {
            item["metadata"]["name"]: item for item in self.cluster.call("GET", "/api/v1/namespaces")["items"]
            if item["metadata"]["name"].startswith("kars-s") and item["metadata"]["name"] not in (HOME, "kars-sre")}
        faults += [f"namespace {name} is left" for name in namespaces.keys() - {f"kars-{name}" for name in self.wanted}]
        for name in self.wanted.keys() & there.keys():
            faults += [f"{name}: {fault}" for fault in self.faults_of(name, there[name], namespaces.get(f"kars-{name}"))]
        return faults

    def faults_of(self, name, sandbox, namespace):
        if namespace is None:
            return ["no namespace"]
        owner = namespace["metadata"].get("annotations", {}).get("kars.azure.com/owner-uid")
        if owner != sandbox["metadata"]["uid"]:
            return [f"the namespace is of {owner}"]
        status = sandbox.get("status", {})
        if status.get("observedGeneration") != sandbox["metadata"]["generation"] or status.get("phase") != "Suspended":
            return [f"status {status.get('phase')} of generation {status.get('observedGeneration')}"]
        place = f"/namespaces/kars-{name}"
        allowlist = self.get(f"/api/v1{place}/configmaps/karssandbox-{name}-egress-allowlist")
        hosts = [entry["host"] for entry in json.loads(allowlist["data"]["allowlist.json"])["endpoints"]] if allowlist else None
        found = []
        if hosts != self.wanted[name]:
            found.append(f"allow list {hosts}, wanted {self.wanted[name]}")
        for path in (f"/apis/networking.k8s.io/v1{place}/networkpolicies/sandbox-policy", f"/api/v1{place}/services/{name}",
                     f"/api/v1{place}/secrets/{name}-router", f"/api/v1{place}/serviceaccounts/sandbox"):
            if self.get(path) is None:
                found.append(f"no {path}")
        deployment = self.get(f"/apis/apps/v1{place}/deployments/{name}")
        if deployment is None or deployment["spec"]["replicas"] != 0:
            found.append("no Deployment that rests")
        return found

    def settle(self):
        end = time.monotonic() + SETTLE
        while faults := self.faults():
            if time.monotonic() > end:
                raise AssertionError("not as asked for:\n  " + "\n  ".join(faults))
            time.sleep(0.2)

    def check_that_nothing_is_written(self):
        """Leases are renewed; all else rests."""
        paths = [SANDBOXES, POLICIES, "/api/v1/namespaces", "/api/v1/configmaps", "/api/v1/secrets", "/apis/apps/v1/deployments",
                 "/apis/networking.k8s.io/v1/networkpolicies", "/apis/rbac.authorization.k8s.io/v1/rolebindings"]
        versions = lambda: {
            (path, item["metadata"].get("namespace"), item["metadata"]["name"]): item["metadata"]["resourceVersion"]
            for path in paths for item in self.cluster.call("GET", path)["items"]}
        before = versions()
        time.sleep(STILL)
        after = versions()
        changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        if changed:
            raise AssertionError(f"written although nothing changed: {changed}")


def declared(kind, name, spec):
    return {"apiVersion": "kars.azure.com/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": HOME}, "spec": spec}


def controllers(cluster):
    """Processes of `kars controller` of this cluster."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            if words[1:2] == [b"controller"] and str(cluster.directory).encode() in b" ".join(words):
                found.append(int(name))
    return found


def run(cluster, operations, kills, chance):
    world = World(cluster, chance)
    world.begin()
    moments = sorted(chance.sample(range(1, operations), kills))
    killed = {"controller": 0, "cluster": 0}
    try:
        for number in range(operations):
            killer = None
            if moments and number == moments[0]:
                moments.pop(0)
                # Somewhere within the next operations, or between them.
                pause = chance.uniform(0, 0.3)
                kind = []
                killer = threading.Thread(target=lambda: (time.sleep(pause), kind.append(world.kill())))
                killer.start()
            world.operate()
            if killer:
                killer.join(60)
                if not kind:
                    raise AssertionError("the cluster did not come back")
                killed[kind[0]] += 1
            print(f"\r{number + 1} of {operations} operations, {sum(killed.values())} kills", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        began = time.monotonic()
        world.settle()
        spent = time.monotonic() - began
        world.check_that_nothing_is_written()
        print(
            f"{operations} operations, {killed['controller']} kills of the controller and {killed['cluster']} of the cluster: "
            f"{len(world.wanted)} sandboxes as asked for after {spent:.1f} s, nothing left of others, nothing written for {STILL} s")
    except (AssertionError, Failed) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        cluster.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--operations", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kars-") as temporary:
        run(LocalCluster(arguments.home or temporary), arguments.operations, arguments.kills, random.Random(arguments.seed))


if __name__ == "__main__":
    main()
