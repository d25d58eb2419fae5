#!/usr/bin/env python3
"""Sends the recorded requests (vectors/kubeapi/golden.jsonl) to an API server, in order, and compares the answers.

    replay.py --server https://127.0.0.1:6443 --ca ca.crt --cert admin.crt --key admin.key RECORDINGS

What is compared, and what is not because it differs from run to run, follows the README beside the recordings. Values that
a later request needs (uids, versions, continue tokens, generated names, service-account tokens) are learned from the answers.
Requests that the recording made on the side are in `replay_steps.py`, with the records that are out of scope and why.
Prints how many records agree, and each difference with its reason; exits with 1 when fewer than --min-percent of those in scope
agree, or one differs for no known reason.
"""

import argparse
import http.client
import json
import re
import ssl
import sys
import threading
import time
import urllib.parse

import replay_steps

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
AGE = re.compile(r"^(\d+[smhdy])+$")
UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Endings that a server makes up: of generateName, hashes of templates, the time in the name of an Event.
GENERATED = re.compile(r"^[a-z].*[-.]([bcdfghjklmnpqrstvwxz2456789]{5}|[bcdf2456789]{8,10}|[0-9a-f]{16})$")
PARTS = re.compile(r"[-.]")
WORDS = re.compile(r'[\s",]+')
NO_UID = "00000000-0000-0000-0000-000000000000"
VERSION_WORDS = re.compile(r"resource ?version|too old|in record", re.IGNORECASE)
FUTURE = 1_000_000


def name_of(item):
    """Of an object, a row of a Table with its object, or an element of a list that goes by names."""
    if not isinstance(item, dict):
        return None
    inner = item.get("object") or {}
    return item.get("name") or item.get("metadata", {}).get("name") or inner.get("metadata", {}).get("name")


def key_of(item):
    """Namespace and name of an object or of a row of a Table."""
    metadata = (item.get("object") or item)["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


class Learned:
    """What recorded values became in this run."""

    def __init__(self):
        self.texts = {}
        self.versions = {}

    def learn(self, recorded, actual, key=None):
        """Walks two answers side by side and notes the values that name something."""
        if isinstance(recorded, dict) and isinstance(actual, dict):
            for name, value in recorded.items():
                if name in actual and name != "fieldsV1":
                    self.learn(value, actual[name], name)
        elif isinstance(recorded, list) and isinstance(actual, list):
            for left, right in self.pairs(recorded, actual):
                self.learn(left, right, key)
        elif isinstance(recorded, str) and isinstance(actual, str) and recorded != actual:
            if key == "resourceVersion" and recorded.isdigit() and actual.isdigit():
                self.versions[int(recorded)] = int(actual)
            elif key in ("uid", "continue", "token", "clusterIP", "pod-template-hash"):
                self.texts[recorded] = actual
            elif key in ("name", "message"):
                left, right = WORDS.split(recorded), WORDS.split(actual)
                if len(left) == len(right):
                    self.texts.update(pair for pair in zip(left, right) if pair[0] != pair[1] and self.is_generated(*pair))
        if key == "resourceVersion" and recorded == actual and isinstance(recorded, str) and recorded.isdigit():
            self.versions[int(recorded)] = int(actual)

    @staticmethod
    def is_generated(recorded, actual):
        """Same beginning, another ending as the server makes them up."""
        return bool(GENERATED.match(recorded) and GENERATED.match(actual)) and PARTS.split(recorded)[0] == PARTS.split(actual)[0]

    @staticmethod
    def pairs(recorded, actual):
        """Elements that stand for the same thing: by their names when all have one that both know, else by position."""
        known = {name_of(item): item for item in actual if name_of(item)}
        if all(name_of(item) in known for item in recorded):
            return [(item, known[name_of(item)]) for item in recorded]
        return list(zip(recorded, actual))

    def version(self, recorded):
        """The version in this run for a recorded one; for one that no answer showed, the nearest before it."""
        number = int(recorded)
        if number > FUTURE:
            return str(int(self.version(number - FUTURE)) + FUTURE)
        if number in self.versions:
            return str(self.versions[number])
        before = [known for known in self.versions if known <= number]
        return str(self.versions[max(before)]) if before else recorded

    def text(self, value):
        """Longest first: one learned text may be a part of another."""
        for recorded in sorted(self.texts, key=len, reverse=True):
            if recorded in value:
                value = value.replace(recorded, self.texts[recorded])
        return value

    def path(self, path):
        path = self.text(path)
        return re.sub(r"(resourceVersion=)(\d+)", lambda m: m[1] + (m[2] if m[2] in "01" else self.version(m[2])), path)

    def body(self, value, key=None):
        if isinstance(value, dict):
            # A time that is sent back is that of this run, which the server fills in.
            return {
                name: self.body(inner, name) for name, inner in value.items()
                if not (key == "metadata" and name == "creationTimestamp" and inner)
            }
        if isinstance(value, list):
            return [self.body(inner, key) for inner in value]
        if isinstance(value, str):
            if key == "resourceVersion" and value.isdigit() and value not in "01":
                return self.version(value)
            return self.text(value)
        return value


class Server:
    """One HTTP request at a time, as whoever is asked for."""

    def __init__(self, arguments):
        self.url = urllib.parse.urlsplit(arguments.server)
        self.arguments = arguments

    def connect(self, with_certificate, timeout):
        host, port = self.url.hostname, self.url.port
        if self.url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout)
        context = ssl.create_default_context(cafile=self.arguments.ca)
        context.check_hostname = False
        if with_certificate and self.arguments.cert:
            context.load_cert_chain(self.arguments.cert, self.arguments.key)
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)

    def send(self, method, path, headers=None, body=None, who="admin", on_line=None, timeout=30):
        """Returns status, headers and text; with `on_line`, lines as they come go there."""
        headers = dict(headers or {})
        is_admin = who.startswith("admin") or "impersonation" in who
        if is_admin:
            for pair in self.arguments.header:
                name, value = pair.split(":", 1)
                headers[name] = value.strip()
        headers.setdefault("User-Agent", "golden/1.0")
        connection = self.connect(is_admin, timeout)
        try:
            payload = body.encode() if isinstance(body, str) else body
            connection.request(method, path, body=payload, headers=headers)
            response = connection.getresponse()
            if on_line and response.status == 200:
                while line := response.readline():
                    on_line(line.decode())
                text = ""
            else:
                text = response.read()
                text = text if response.getheader("Content-Encoding") else text.decode("utf-8", "replace")
            found = {}
            for name, value in response.getheaders():
                found.setdefault(name.lower(), []).append(value)
            return response.status, found, text
        finally:
            connection.close()

    def step(self, learned, method, path, body=None, content_type="application/json"):
        """A request that the recording does not show; it has to succeed."""
        text = json.dumps(learned.body(body)) if body is not None else None
        status, _, answer = self.send(method, learned.path(path), {"Content-Type": content_type}, text)
        if status >= 300:
            print(f"  note: {method} {path}: {status} {answer[:300]}")
        return json.loads(answer) if answer.startswith("{") else None


class Comparison:
    """Two answers without what differs from run to run."""

    def __init__(self, learned, record):
        self.learned = learned
        self.record = record
        self.differences = []

    def differ(self, path, recorded, actual):
        def short(value):
            text = value if isinstance(value, str) else json.dumps(value)
            return text if len(text) < 300 else text[:300] + "…"

        self.differences.append(f"{path}: recorded {short(recorded)}, got {short(actual)}")

    def aligned(self, recorded, actual):
        """`actual` with its objects in the order of those of `recorded` that they stand for. Lists are in the order of names, so
        that where names are made up the order is too: then objects go by what they are, and the order by the names that are there."""
        if not isinstance(recorded, dict) or not isinstance(actual, dict):
            return actual
        for key in ("items", "rows"):
            wanted, found = recorded.get(key), actual.get(key)
            if not wanted or not isinstance(found, list) or len(wanted) != len(found):
                continue
            names = [name_of(item) for item in wanted]
            if not any(name and GENERATED.match(name) for name in names):
                continue
            keys = [key_of(item) for item in found]
            if keys != sorted(keys):
                self.differ(f"{key}.order", "by namespace and name", keys)
            left, ordered = list(found), []
            for item in wanted:
                nearest = min(left, key=lambda other: self.distance(item, other))
                left.remove(nearest)
                ordered.append(nearest)
            actual = {**actual, key: ordered}
        return actual

    def distance(self, recorded, actual):
        """How many differences there are beyond made-up names."""
        trial, names = Comparison(self.learned, self.record), (name_of(recorded), name_of(actual))
        trial.compare(self.normal(recorded, is_recorded=True), self.normal(actual))
        is_other = self.learned.text(names[0]) != names[1] and not Learned.is_generated(self.learned.text(names[0]), names[1])
        return len(trial.differences) + (1000 if is_other else 0)

    def normal(self, value, key=None, is_recorded=False):
        if isinstance(value, dict):
            kept = {}
            for name, inner in value.items():
                if name in ("storageVersionHash", "hash") or (name == "details" and inner == {}):
                    continue
                if name == "description" and key == "columnDefinitions":
                    # Documentation, which is our own.
                    continue
                # Owned elements of lists are named by what they hold, as `k:{"uid":"…"}`.
                name_here = self.learned.text(name) if is_recorded and name.startswith("k:") else name
                kept[name_here] = self.normal(inner, name, is_recorded)
            return kept
        if isinstance(value, list):
            items = [self.normal(inner, key, is_recorded) for inner in value]
            if key == "causes":
                # A set: the real server tells some faults twice.
                texts = {json.dumps(item, sort_keys=True) for item in items}
                return [json.loads(text) for text in sorted(texts)]
            if key == "nonResourceRules":
                # In the order in which the server happens to meet the roles.
                return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
            if key == "managedFields":
                return sorted(items, key=lambda item: [item.get(k, "") for k in ("manager", "operation", "subresource", "apiVersion")])
            return items
        if isinstance(value, str):
            return self.normal_text(self.learned.text(value) if is_recorded else value, key)
        return value

    def normal_text(self, text, key):
        if key in ("uid", "resourceVersion", "continue", "token", "serverAddress", "time"):
            return f"<{key}>"
        if TIME.match(text) and not text.startswith("2030"):
            return "<time>"
        if key == "cells" and AGE.match(text):
            return "<age>"
        if key in ("clusterIP", "clusterIPs", "podIP", "hostIP") and re.match(r"\d+\.", text):
            return "<ip>"
        if key == "message":
            # The list of faults is compared by its causes.
            text = re.sub(r"( is invalid: )\[.*\]$", r"\1[…]", text, flags=re.DOTALL)
        text = re.sub(r"^X509SHA256=[0-9a-f]{64}$", "X509SHA256=<hash>", text)
        if VERSION_WORDS.search(text):
            text = re.sub(r"\b\d+\b", "<n>", text)
        if key == "message":
            text = re.sub(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|<n>-<n>-\d\dT\d\d:<n>:\d\dZ)", "<time>", text)
        return UID.sub(lambda match: match[0] if match[0] == NO_UID else "<uid>", text)

    def compare(self, recorded, actual, path=""):
        if isinstance(recorded, dict) and isinstance(actual, dict):
            for key in recorded.keys() | actual.keys():
                place = f"{path}.{key}" if path else key
                if key not in actual:
                    self.differ(place, recorded[key], "<absent>")
                elif key not in recorded:
                    self.differ(place, "<absent>", actual[key])
                else:
                    self.compare(recorded[key], actual[key], place)
        elif isinstance(recorded, list) and isinstance(actual, list):
            if len(recorded) != len(actual):
                self.differ(path + ".length", len(recorded), len(actual))
            for index, (left, right) in enumerate(zip(recorded, actual)):
                self.compare(left, right, f"{path}[{index}]")
        elif recorded != actual or isinstance(recorded, bool) != isinstance(actual, bool):
            self.differ(path, recorded, actual)

    def compare_discovery(self, recorded, actual, path=""):
        """Everything served must be as recorded; what is recorded and not served must be out of scope."""
        if isinstance(recorded, dict) and isinstance(actual, dict):
            for key, value in actual.items():
                place = f"{path}.{key}" if path else key
                if key not in recorded:
                    self.differ(place, "<absent>", value)
                else:
                    self.compare_discovery(recorded[key], value, place)
        elif isinstance(recorded, list) and isinstance(actual, list) and all(isinstance(item, dict) for item in recorded):
            def name(item):
                return item.get("resource") or item.get("name") or item.get("version") or item.get("subresource") or item.get(
                    "metadata", {}).get("name", "")

            known = {name(item): item for item in recorded}
            served = {name(item) for item in actual}
            for item in actual:
                if name(item) not in known:
                    self.differ(f"{path}[{name(item)}]", "<absent>", item)
                else:
                    self.compare_discovery(known[name(item)], item, f"{path}[{name(item)}]")
            for missing in known.keys() - served:
                if not replay_steps.is_unserved(missing):
                    self.differ(f"{path}[{missing}]", known[missing], "<absent>")
        elif isinstance(recorded, list) and isinstance(actual, list):
            self.compare(sorted(recorded), sorted(actual), path)
        elif recorded != actual:
            self.differ(path, recorded, actual)

    def answer(self, status, headers, text):
        recorded = self.record["response"]
        if recorded["status"] != status:
            self.differ("status", recorded["status"], f"{status} {text[:300] if isinstance(text, str) else ''}")
            return
        for name in ("Content-Type", "Warning", "Retry-After"):
            expected = recorded.get("headers", {}).get(name)
            expected = expected if isinstance(expected, list) else [expected] if expected else []
            expected = [self.learned.text(value) for value in expected]
            found = headers.get(name.lower(), [])
            if sorted(expected) != sorted(found):
                self.differ(f"header {name}", expected, found)
        if "body" in recorded:
            try:
                actual = json.loads(text)
            except ValueError:
                return self.differ("body", recorded["body"], text)
            actual = self.aligned(recorded["body"], actual)
            self.learned.learn(recorded["body"], actual)
            left, right = self.normal(recorded["body"], is_recorded=True), self.normal(actual)
            how = replay_steps.COMPARE.get(self.record["id"])
            if how == "discovery":
                self.compare_discovery(left, right)
            elif how:
                for message in how(left, right):
                    self.differences.append(message)
            else:
                self.compare(left, right)
        elif "bodyText" in recorded and isinstance(text, str):
            how = replay_steps.COMPARE.get(self.record["id"])
            if how:
                self.differences += how(recorded["bodyText"], text)
            else:
                # YAML may have its members in any order.
                left, right = (sorted(self.lines(value)) for value in (self.learned.text(recorded["bodyText"]), text))
                if left != right:
                    self.differ("body", "\n".join(left), "\n".join(right))

    def lines(self, text):
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", UID.sub("<uid>", text))
        return [line.strip().lstrip("- ") for line in re.sub(r'(resourceVersion: )"\d+"', r"\1<n>", text).splitlines()]

    def events(self, lines):
        recorded = [event["line"] for event in self.record["response"]["events"]]
        actual = [json.loads(line) for line in lines]
        if [e["type"] for e in recorded] != [e["type"] for e in actual]:
            self.differ("events", [e["type"] for e in recorded], [e["type"] for e in actual])
        for index, (left, right) in enumerate(zip(recorded, actual)):
            self.compare(self.normal(left, is_recorded=True), self.normal(right), f"events[{index}]")
        self.learned.learn(recorded, actual)


def replay(record, server, learned):
    """One record; returns its differences."""
    request = record["request"]
    for step in replay_steps.BEFORE.get(record["id"], []):
        step(server, learned)
    headers = {name: learned.text(value) for name, value in request.get("headers", {}).items()}
    if "body" in request:
        body = json.dumps(learned.body(request["body"]))
    else:
        body = request.get("bodyText")
        if body is not None:
            body = replay_steps.whole_text(record["id"], body)
    comparison = Comparison(learned, record)
    path = learned.path(request["path"])
    if "events" in record["response"]:
        lines = []
        threading.Thread(target=during, args=(record, server, learned), daemon=True).start()
        status, found, text = server.send(request["method"], path, headers, body, record["as"], lines.append, timeout=120)
        if status != 200:
            comparison.answer(status, found, text)
        else:
            comparison.events(lines)
    else:
        comparison.answer(*server.send(request["method"], path, headers, body, record["as"]))
        if comparison.differences and record["id"] in replay_steps.EVENTUALLY:
            # The state is one that controllers bring about in their own time.
            deadline = time.monotonic() + replay_steps.EVENTUALLY[record["id"]]
            while comparison.differences and time.monotonic() < deadline:
                time.sleep(0.2)
                comparison = Comparison(learned, record)
                comparison.answer(*server.send(request["method"], path, headers, body, record["as"]))
    return comparison.differences


def during(record, server, learned):
    """What happens while a watch is open: one step every 0.3 s, the first after 0.6 s, as in the recording."""
    time.sleep(0.6)
    for step in replay_steps.DURING.get(record["id"], []):
        step(server, learned)
        time.sleep(0.3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recordings")
    parser.add_argument("--server", required=True)
    parser.add_argument("--ca")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--header", action="append", default=[], help="sent as administrator, NAME:VALUE")
    parser.add_argument("--until", help="stop after this record")
    parser.add_argument("--fast", action="store_true", help="leave out what takes longer than ten seconds")
    parser.add_argument("--min-percent", type=float, default=95)
    arguments = parser.parse_args()
    server, learned = Server(arguments), Learned()
    agreed, differing, outside = 0, [], []
    with open(arguments.recordings, encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    for record in records:
        name = record["id"]
        reason = replay_steps.out_of_scope(record)
        if arguments.fast and name in replay_steps.SLOW:
            reason = "takes longer than ten seconds (--fast)"
        if reason:
            outside.append((name, reason))
            # What others did at the time stays done.
            for step in replay_steps.DURING.get(name, []):
                step(server, learned)
        else:
            try:
                differences = replay(record, server, learned)
            except (OSError, ValueError, http.client.HTTPException) as error:
                differences = [f"request failed: {error!r}"]
            if differences:
                differing.append((name, differences))
            else:
                agreed += 1
        if name == arguments.until:
            break
    report(agreed, differing, outside)
    total = agreed + len(differing)
    is_explained = all(name in replay_steps.KNOWN for name, _ in differing)
    sys.exit(0 if total and is_explained and 100 * agreed / total >= arguments.min_percent else 1)


def report(agreed, differing, outside):
    total = agreed + len(differing)
    for name, differences in differing:
        print(f"{name}: {replay_steps.KNOWN.get(name, 'for no known reason')}")
        for difference in differences[:12]:
            print(f"    {difference}")
        if len(differences) > 12:
            print(f"    … and {len(differences) - 12} more")
    print("\nout of scope:")
    for name, reason in outside:
        print(f"    {name}: {reason}")
    print(f"\n{agreed} of {total} records in scope agree ({100 * agreed / max(total, 1):.1f} %), {len(outside)} out of scope")


if __name__ == "__main__":
    main()
