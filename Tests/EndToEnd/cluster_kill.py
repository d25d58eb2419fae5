#!/usr/bin/env python3
"""Kills a local cluster with SIGKILL at random moments of mixed writes and checks that nothing acknowledged is lost.

    cluster_kill.py [--kills N] [--pods] [--seed N] [--home DIRECTORY]

Each round: writers create, change and delete objects of their own and note every answer; the cluster is killed; a new one
starts over the same state. Then every acknowledged write is there, or the unacknowledged one that came after it; versions of
an object and of lists only grow.

With --pods, pods come and go meanwhile and a Deployment is scaled and changed; after each start exactly the pods that were
asked for run, each once, one that nobody touched in the process it always had; nothing is left of others: processes, network
namespaces, files, control groups. At the end the cluster is stopped, started, killed and reset, and nothing at all is left.

Exits with 1 at the first fault.
"""
import argparse
import http.client
import random
import sys
import tempfile
import threading
import time

from cluster import Failed, LocalCluster
from cluster_pods import PodWriter, WantedPods

PATH = "/api/v1/namespaces/default/configmaps"
WRITERS = 4


class Writer(threading.Thread):
    """Writes to objects that nobody else writes to, one request after the other, until one is not answered."""

    def __init__(self, cluster, number, seed):
        super().__init__(daemon=True)
        self.cluster, self.number, self.random = cluster, number, random.Random(seed)
        # Name → (value or None when absent, resourceVersion) as last acknowledged.
        self.known = {}
        # The write whose answer never came: (name, value or None).
        self.pending = None
        self.count = 0
        self.fault = None

    def run(self):
        try:
            while True:
                self.write()
                self.count += 1
        except (OSError, http.client.HTTPException):
            pass
        except Exception as error:  # told by the main thread
            self.fault = error

    def write(self):
        name = f"w{self.number}-{self.random.randrange(40)}"
        value = str(self.random.randrange(1 << 30)) + "x" * self.random.choice([0, 10, 5000])
        exists = name in self.known and self.known[name][0] is not None
        if not exists:
            self.pending = (name, value)
            answer = self.cluster.call("POST", PATH, {"metadata": {"name": name}, "data": {"v": value}})
        elif self.random.random() < 0.2:
            self.pending = (name, None)
            self.cluster.call("DELETE", f"{PATH}/{name}")
            self.known[name] = (None, self.known[name][1])
            self.pending = None
            return
        else:
            self.pending = (name, value)
            answer = self.cluster.call("PATCH", f"{PATH}/{name}", {"data": {"v": value}}, "application/merge-patch+json")
        version = int(answer["metadata"]["resourceVersion"])
        if name in self.known and version <= self.known[name][1]:
            raise AssertionError(f"{name} went from version {self.known[name][1]} to {version}")
        self.known[name] = (value, version)
        self.pending = None

    def check(self, stored):
        """`stored`: name → (value, version) after the crash. Takes over what the last, unanswered write became."""
        for name, (value, version) in self.known.items():
            now = stored.get(name)
            if now and now[1] < version:
                raise AssertionError(f"{name} was at version {version} and is at {now[1]}")
            if (now[0] if now else None) == value:
                continue
            if self.pending and self.pending[0] == name and self.pending[1] == (now[0] if now else None):
                continue
            raise AssertionError(f"{name}: acknowledged {value and value[:20]}, found {now and now[0][:20]}, pending {self.pending and self.pending[0]}")
        mine = {name: state for name, state in stored.items() if name.startswith(f"w{self.number}-")}
        for name in mine.keys() - self.known.keys():
            if not self.pending or self.pending[0] != name:
                raise AssertionError(f"{name} was never asked for")
        self.known = {name: (None, version) for name, (_, version) in self.known.items()} | mine
        self.pending = None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pods", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        run(LocalCluster(arguments.home or temporary), arguments.kills, arguments.pods, random.Random(arguments.seed))


def run(cluster, kills, with_pods, chance):
    cluster.start(*([] if with_pods else ["--without-node"]))
    known = [{} for _ in range(WRITERS)]
    total, pod_writes, revision, longest = 0, 0, 0, 0.0
    wanted = WantedPods(cluster) if with_pods else None
    try:
        if wanted:
            wanted.begin()
        for turn in range(kills):
            writers = [Writer(cluster, number, chance.random()) for number in range(WRITERS)]
            for writer, state in zip(writers, known):
                writer.known = state
                writer.start()
            pods = [PodWriter(cluster, wanted, chance.random())] if wanted else []
            for writer in pods:
                writer.start()
            time.sleep(chance.uniform(0.02, 1.0 if wanted else 0.4))
            cluster.kill()
            for writer in writers + pods:
                writer.join(30)
                if writer.is_alive() or writer.fault:
                    raise AssertionError(f"a writer failed before the kill: {writer.fault}")
            cluster.start(*([] if with_pods else ["--without-node"]))
            listed = cluster.call("GET", PATH)
            if int(listed["metadata"]["resourceVersion"]) < revision:
                raise AssertionError("the version of the list went back")
            revision = int(listed["metadata"]["resourceVersion"])
            stored = {
                item["metadata"]["name"]: (item["data"]["v"], int(item["metadata"]["resourceVersion"]))
                for item in listed["items"] if "v" in item.get("data", {})
            }
            for writer in writers:
                writer.check(stored)
            known = [writer.known for writer in writers]
            total += sum(writer.count for writer in writers)
            if wanted:
                pod_writes += sum(writer.count for writer in pods)
                wanted.take_over()
                began = time.monotonic()
                wanted.settle()
                longest = max(longest, time.monotonic() - began)
            print(f"\r{turn + 1} of {kills} kills, {total} acknowledged writes, all there", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        print(f"{kills} kills, {total} acknowledged writes: none lost, versions only grew")
        if wanted:
            wanted.end()
            print(f"{pod_writes} writes of pods: as asked for at most {longest:.1f} s after each start, none twice, nothing left")
    except (AssertionError, Failed) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
