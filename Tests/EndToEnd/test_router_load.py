"""The router alone under load and abuse (acceptance 6, 7): loopback only, bounded in count and time."""
import asyncio
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

from conftest import KARS, wait_until

ANSWER = json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "x" * 300}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}})
REQUEST = json.dumps({"model": "m", "messages": [{"role": "user", "content": "y" * 1800}]}).encode()
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Upstream:
    """nginx with one fixed answer."""

    def __init__(self, directory):
        if shutil.which("nginx") is None:
            pytest.skip("skipped: needs nginx")
        self.port = free_port()
        (directory / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000; default_type application/json; client_body_temp_path {directory}/body;
  server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 '{ANSWER}'; }} }} }}
""")
        self.process = subprocess.Popen(["nginx", "-c", str(directory / "nginx.conf"), "-p", str(directory)])

    def close(self):
        self.process.terminate()
        self.process.wait(10)


class Router:
    """`kars router` with its state in a directory of its own."""

    def __init__(self, directory, upstream, **extra):
        self.directory = directory
        for name in ("policies", "inference", "egress", "state", "secrets"):
            (directory / name).mkdir(exist_ok=True)
        (directory / "policies/agt-profile.yaml").write_text(
            'version: "1.0"\nagent: load\npolicies:\n  - name: all-inference\n    type: capability\n    allowed_actions: ["inference:*"]\n')
        self.port, self.metrics = free_port(), free_port()
        self.environment = {
            "PATH": os.environ["PATH"], "SANDBOX_NAME": "load", "ROUTER_PORT": str(self.port), "FORWARD_PROXY_PORT": str(free_port()),
            "KARS_DNS_PORT": str(free_port()), "KARS_OPERATOR_PORT": str(free_port()), "KARS_METRICS_PORT": str(self.metrics),
            "KARS_PROVIDER": "openai", "KARS_PROVIDER_ENDPOINT": f"http://127.0.0.1:{upstream.port}/v1", "KARS_STATE_DIR": str(directory / "state"),
            "AGT_POLICY_DIR": str(directory / "policies"), "INFERENCE_POLICY_DIR": str(directory / "inference"),
            "EGRESS_ALLOWLIST_DIR": str(directory / "egress"), "KARS_SECRETS_DIR": str(directory / "secrets"), "KARS_RATE_PER_SECOND": "1000000", "KARS_RATE_BURST": "10000000", **extra,
        }
        self.start()

    def start(self):
        self.process = subprocess.Popen([str(KARS), "router"], env=self.environment, stdout=(self.directory / "router.log").open("ab"), stderr=subprocess.STDOUT)
        wait_until(lambda: self.get("/readyz") == 200 or self.process.poll() is not None, what="the router")
        assert self.process.poll() is None, (self.directory / "router.log").read_text()

    def get(self, path):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as s:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
                return int(s.recv(200).split()[1])
        except (OSError, IndexError):
            return None

    def memory(self):
        """Resident bytes."""
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text()).group(1)) * 1024

    def verify(self):
        return subprocess.run([KARS, "audit", "verify", "--dir", str(self.directory / "state/audit")], capture_output=True, text=True)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        assert self.process.wait(40) == 0


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    server = Upstream(tmp_path_factory.mktemp("nginx"))
    yield server
    server.close()


@pytest.fixture
def router(tmp_path, upstream):
    process = Router(tmp_path, upstream)
    yield process
    process.close()


async def exchange(reader, writer, request=HEAD % len(REQUEST) + REQUEST):
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    body = await reader.readexactly(length)
    return int(head.split()[1]), body


async def drive(port, total, concurrency):
    """`total` requests over `concurrency` connections; returns the number answered 200 and the latencies."""
    left, good, latencies = total, 0, []

    async def client():
        nonlocal left, good
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            start = time.perf_counter()
            status, body = await exchange(reader, writer)
            latencies.append(time.perf_counter() - start)
            good += status == 200 and json.loads(body)["usage"]["total_tokens"] == 12
        writer.close()

    await asyncio.gather(*(client() for _ in range(concurrency)))
    return good, sorted(latencies)


def p50(port):
    good, latencies = asyncio.run(drive(port, 300, 1))
    assert good == 300
    return latencies[150]


def test_ten_thousand_requests_lose_none_and_the_chain_verifies(router):
    good, _ = asyncio.run(drive(router.port, 10_000, 64))
    assert good == 10_000
    result = router.verify()
    assert result.returncode == 0, result.stdout + result.stderr
    assert router.memory() < 80 * 1024 * 1024


def test_abuse_leaves_others_served_as_usual(router):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    usual = p50(router.port)

    def connect():
        return socket.create_connection(("127.0.0.1", router.port), 5)

    held = []
    for _ in range(50):  # slow-loris: a header that never ends
        s = connect()
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-A: ")
        held.append(s)
    big = connect()  # a 1 GiB body
    big.sendall(HEAD % (1 << 30))
    big.settimeout(5)
    assert b" 413 " in big.recv(1000)
    deaf = []
    for _ in range(20):  # pipelines requests and never reads
        s = connect()
        s.setblocking(False)
        try:
            while True:
                s.send((HEAD % len(REQUEST) + REQUEST) * 10)
        except BlockingIOError:
            pass
        deaf.append(s)
    idle = []
    for _ in range(5_000):
        try:
            idle.append(connect())
        except OSError:
            break
    time.sleep(1)
    busy = p50_patient(router)
    assert busy < max(usual * 5, 0.05), (usual, busy)
    assert router.memory() < 80 * 1024 * 1024, router.memory()
    for s in held[:5]:  # cut within the time to complete headers
        s.settimeout(30)
        answer = s.recv(1000)
        assert answer == b"" or b" 408 " in answer, answer
    for s in [*held, *deaf, *idle, big]:
        s.close()


def p50_patient(router):
    """The median with the connection limit in the way: idle connections give room to new ones."""
    return wait_until(lambda: try_p50(router.port), 30, "an answer beside 5,000 idle connections")


def try_p50(port):
    try:
        return p50(port)
    except (OSError, asyncio.IncompleteReadError, AssertionError):
        return None


def test_kill_in_the_middle_of_load_keeps_the_chain(router):
    async def load():
        tasks = [asyncio.create_task(drive(router.port, 3_000, 16))]
        await asyncio.sleep(1)
        router.process.send_signal(signal.SIGKILL)
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(load())
    router.process.wait()
    router.start()
    good, _ = asyncio.run(drive(router.port, 100, 4))
    assert good == 100
    result = router.verify()
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def chain(tmp_path_factory, upstream):
    """A finished chain of more than a thousand calls over several files."""
    directory = tmp_path_factory.mktemp("chain")
    process = Router(directory, upstream, KARS_EVIDENCE_FILE_BYTES="200000")
    asyncio.run(drive(process.port, 1_200, 16))
    process.close()
    assert len(segments(directory / "state/audit")) > 1
    return directory / "state/audit"


def segments(directory):
    return sorted(path for path in directory.glob("*.jsonl") if "head" not in path.name)


def flip_a_byte(directory):
    path = segments(directory)[0]
    data = bytearray(path.read_bytes())
    at = data.index(b'"decision":"allow"', len(data) // 2) + 13
    data[at] ^= 1
    path.write_bytes(data)


def remove_a_line(directory):
    path = segments(directory)[0]
    lines = path.read_bytes().splitlines(True)
    path.write_bytes(b"".join(lines[:10] + lines[11:]))


def swap_a_pair(directory):
    path = segments(directory)[0]
    lines = path.read_bytes().splitlines(True)
    lines[20], lines[21] = lines[21], lines[20]
    path.write_bytes(b"".join(lines))


def cut_the_tail(directory):
    path = [path for path in segments(directory) if path.stat().st_size][-1]
    lines = path.read_bytes().splitlines(True)
    path.write_bytes(b"".join(lines[:-3]))


def replace_a_file(directory):
    first, second = segments(directory)[:2]
    second.write_bytes(first.read_bytes())


def remove_a_file(directory):
    segments(directory)[0].unlink()


@pytest.mark.parametrize("damage", [flip_a_byte, remove_a_line, swap_a_pair, cut_the_tail, replace_a_file, remove_a_file])
def test_each_kind_of_damage_is_found_and_placed(chain, tmp_path, damage):
    copy = tmp_path / "audit"
    shutil.copytree(chain, copy)
    verify = lambda: subprocess.run([KARS, "audit", "verify", "--dir", str(copy)], capture_output=True, text=True)
    assert verify().returncode == 0
    damage(copy)
    result = verify()
    assert result.returncode == 1, result.stdout + result.stderr
    assert ".jsonl" in result.stdout + result.stderr
