"""Lives of pods as recorded on a real node, told apart into what they pass through: phases, conditions, states of containers."""
import json
import pathlib
import re

RECORDS = {r["id"]: r for r in map(json.loads, (pathlib.Path(__file__).parent / "recordings/node.jsonl").read_text().splitlines())}


def objects(record):
    """(kind of change, pod) in the order in which a watch told them."""
    for event in RECORDS[record]["response"]["events"]:
        line = event["line"]
        line = json.loads(line) if isinstance(line, str) else line
        yield line["type"], line["object"]


def spec(record):
    """What the recorded pod was created with, so that a node can run it whose images are this machine's own files."""
    found = json.loads(RECORDS[record]["note"].partition(": ")[2])
    for container in found["containers"] + found.get("initContainers", []):
        if container["image"] == "localhost/busybox:1":
            container["image"] = "host"
        command = container["command"]
        if command[:2] == ["/bin/sh", "-c"]:
            # In the recording the command is process 1 of its container and deaf to SIGTERM.
            script = re.sub(r"exec httpd -f -p (\d+) -h (\S+)", r"exec python3 -m http.server \1 -d \2", command[2])
            container["command"] = ["/bin/sh", "-c", "trap '' TERM; " + script]
    return found


def state(container):
    state = container["state"]
    if "waiting" in state:
        return f"waiting {state['waiting'].get('reason')}"
    if "terminated" in state:
        return f"terminated {state['terminated']['reason']} {state['terminated']['exitCode']}"
    return "running"


def facets(changes):
    """What is passed through, each in order and once: facet → texts. `changes` as `objects` gives them."""
    found = {}

    def saw(facet, text):
        texts = found.setdefault(facet, [])
        if text not in texts:
            texts.append(text)

    for kind, pod in changes:
        status = pod.get("status", {})
        saw("change", kind)
        saw("phase", " ".join(filter(None, [status.get("phase"), status.get("reason")])))
        saw("generation", f"{pod['metadata'].get('generation')}")
        if "observedGeneration" in status:
            saw("observed generation", f"{status['observedGeneration']}")
        if "deletionTimestamp" in pod["metadata"]:
            saw("grace", f"{pod['metadata']['deletionGracePeriodSeconds']}")
        for condition in status.get("conditions", []):
            saw(f"condition {condition['type']}", "/".join(filter(None, [condition["status"], condition.get("reason")])))
        for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
            name = f"container {container['name']}"
            saw(f"{name} state", state(container))
            saw(f"{name} ready", f"{container['ready']}")
            saw(f"{name} started", f"{container.get('started')}")
            saw(f"{name} restarts", f"{container['restartCount']}")
            if "terminated" in container["lastState"]:
                saw(f"{name} before", state({"state": container["lastState"]}))
    return found


def events(items):
    """What is told of each part of a pod, in order and once."""
    found = {}
    for event in sorted(items, key=lambda e: int(e["metadata"]["resourceVersion"])):
        about = event["involvedObject"].get("fieldPath", "the pod")
        text = f"{event['type']} {event['reason']}"
        if text not in found.setdefault(about, []):
            found[about].append(text)
    return found


def differences(expected, found):
    """Facet, recorded texts, ours."""
    return [(f, expected.get(f, []), found.get(f, [])) for f in sorted(expected.keys() | found.keys()) if expected.get(f, []) != found.get(f, [])]
