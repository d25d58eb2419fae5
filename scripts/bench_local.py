"""`scripts/bench local`: how fast the embedded cluster starts, writes, reads and tells watchers, on loopback with TLS.

The load comes from wrk with a bearer token, so that authentication, authorization, admission and audit are in every figure.
There is no peer to measure beside: a Kubernetes API server and etcd are not among Debian's packages.
"""
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Tests/EndToEnd"))
from cluster import LocalCluster  # noqa: E402

BENCH = "/api/v1/namespaces/bench"
CREATE = """
local number, thread = 0, 0
local threads = 0
function setup(t) t:set("id", threads); threads = threads + 1 end
function init(arguments) thread = id; wrk.headers["Authorization"] = "Bearer " .. arguments[1]; stamp = arguments[2] end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
function request()
  number = number + 1
  local name = "c" .. stamp .. "-" .. thread .. "-" .. number
  return wrk.format(nil, nil, nil, '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"' .. name .. '"},"data":{"key":"value"}}')
end
function done(summary, latency, requests)
  io.write("failed " .. summary.errors.status .. "\\n")
end
"""
GET = """
function init(arguments) wrk.headers["Authorization"] = "Bearer " .. arguments[1] end
function done(summary, latency, requests)
  io.write("failed " .. summary.errors.status .. "\\n")
end
"""
ADMINISTRATOR = {
    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "bench"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "ServiceAccount", "name": "bench", "namespace": "bench"}],
}


def measure(figure, rounds, seconds):
    starts = [start_time() for _ in range(rounds)]
    figure("local: start to ready, fresh state", statistics.median(starts), "s", 3, 0.7)
    with tempfile.TemporaryDirectory(prefix="kars-bench-") as directory:
        cluster = LocalCluster(directory)
        cluster.start()
        try:
            time.sleep(2)
            figure("local: resident memory idle", resident(cluster.process), "MB", 80, 30)
            cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": "bench"}})
            cluster.call("POST", f"{BENCH}/serviceaccounts", {"metadata": {"name": "bench"}})
            cluster.call("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", ADMINISTRATOR)
            token = cluster.call("POST", f"{BENCH}/serviceaccounts/bench/token", {"spec": {}})["status"]["token"]
            reads_and_writes(cluster, token, figure, rounds, seconds, directory)
            lists(cluster, figure, rounds)
            watches(cluster, figure, rounds)
            figure("local: resident memory after the load", resident(cluster.process), "MB")
        finally:
            cluster.stop()


def start_time():
    with tempfile.TemporaryDirectory(prefix="kars-bench-") as directory:
        cluster = LocalCluster(directory)
        began = time.monotonic()
        cluster.start()
        took = time.monotonic() - began
        cluster.stop()
        return took


def resident(process):
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def wrk(cluster, path, script, connections, seconds, *arguments):
    """Successful requests per second."""
    result = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, f"https://127.0.0.1:{cluster.url.port}{path}", "--", *arguments],
        capture_output=True, text=True, check=True).stdout
    failed, total = int(re.search(r"failed (\d+)", result)[1]), int(re.search(r"(\d+) requests in", result)[1])
    if failed or total == 0:
        raise SystemExit(f"error: {failed} of {total} requests to {path} failed\n{result}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", result)[1])


def reads_and_writes(cluster, token, figure, rounds, seconds, directory):
    scripts = {}
    for name, text in (("create", CREATE), ("get", GET)):
        scripts[name] = str(pathlib.Path(directory) / f"{name}.lua")
        pathlib.Path(scripts[name]).write_text(text)
    for connections in (1, 64):
        rates = []
        for turn in range(rounds):
            # A namespace of its own, so that rounds do not meet ever larger collections.
            space = f"bench-{connections}-{turn}"
            cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": space}})
            rates.append(wrk(cluster, f"/api/v1/namespaces/{space}/configmaps", scripts["create"], connections, seconds, token, str(turn)))
        figure(f"local: durable creates, {connections} at once", statistics.median(rates), "1/s", *((1000, 5000) if connections > 1 else ()))
    cluster.call("POST", f"{BENCH}/configmaps", {"metadata": {"name": "one"}, "data": {"key": "value"}})
    rates = [wrk(cluster, f"{BENCH}/configmaps/one", scripts["get"], 64, seconds, token) for _ in range(rounds)]
    figure("local: gets, 64 at once", statistics.median(rates), "1/s", 10000)


def lists(cluster, figure, rounds):
    cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": "thousand"}})
    for number in range(1000):
        cluster.call("POST", "/api/v1/namespaces/thousand/configmaps", {"metadata": {"name": f"c{number}"}, "data": {"key": "value"}})
    times = []
    for _ in range(5 * rounds):
        connection = cluster.connection()
        connection.connect()
        began = time.monotonic()
        connection.request("GET", "/api/v1/namespaces/thousand/configmaps")
        body = connection.getresponse().read()
        times.append(time.monotonic() - began)
        connection.close()
        assert len(json.loads(body)["items"]) >= 1000
    figure("local: list of 1,000 objects", statistics.median(times) * 1000, "ms", 50)


def watches(cluster, figure, rounds):
    """From the request of a creation to the last of 100 watchers that hears of it."""
    watchers, heard = 100, []
    condition = threading.Condition()

    def watch(response):
        for line in response:
            if not line.strip():
                continue
            name = json.loads(line)["object"]["metadata"]["name"]
            with condition:
                heard.append((name, time.monotonic()))
                condition.notify()

    version = cluster.call("GET", f"{BENCH}/configmaps")["metadata"]["resourceVersion"]
    connections = []
    for _ in range(watchers):
        connection = cluster.connection(timeout=600)
        connection.request("GET", f"{BENCH}/configmaps?watch=true&resourceVersion={version}")
        threading.Thread(target=watch, args=(connection.getresponse(),), daemon=True).start()
        connections.append(connection)
    times = []
    for turn in range(5 * rounds):
        heard.clear()
        began = time.monotonic()
        cluster.call("POST", f"{BENCH}/configmaps", {"metadata": {"name": f"watched-{turn}"}})
        with condition:
            if not condition.wait_for(lambda: len(heard) >= watchers, 10):
                raise SystemExit(f"error: {len(heard)} of {watchers} watchers heard of a creation")
            times.append(max(moment for _, moment in heard) - began)
    figure(f"local: creation to the last of {watchers} watchers", statistics.median(times) * 1000, "ms")
    for connection in connections:
        connection.sock.close()
