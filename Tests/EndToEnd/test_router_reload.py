"""Files that the running router takes over: measured from the change on disk to the first request that is judged by it."""
import http.client
import json
import os
import ssl
import statistics
import subprocess
import time

import pytest

from conftest import wait_until
from test_router_load import Router, free_port


class NoUpstream:
    port = 9


PROFILE = 'version: "1.0"\nagent: load\npolicies:\n  - name: edited\n    type: capability\n    %s_actions: ["tool:probe*"]\n'
OLD_TOKEN, NEW_TOKEN = "old-token-0123456789", "new-token-0123456789"


def replace(path, text):
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    os.replace(temporary, path)


@pytest.fixture
def demo(tmp_path):
    (tmp_path / "secrets").mkdir()
    issue(tmp_path / "secrets")
    replace(tmp_path / "secrets/admin-token", OLD_TOKEN)
    process = Router(
        tmp_path, NoUpstream, KARS_PROVIDER="demo", KARS_PROVIDER_ENDPOINT="", TOOL_RATE_LIMIT_MAX="0", KARS_POD_ADDRESS="127.0.0.1")
    yield process
    process.close()


def test_a_policy_edit_is_enforced_within_a_second(demo):
    agent = http.client.HTTPConnection("127.0.0.1", demo.port, timeout=10)

    def is_allowed():
        agent.request("POST", "/agt/evaluate", json.dumps({"action": "tool:probe:x"}), {"Content-Type": "application/json"})
        return json.load(agent.getresponse())["allowed"]

    took = []
    for allowed in [True, False] * 5:
        replace(demo.directory / "policies/agt-profile.yaml", PROFILE % ("allowed" if allowed else "denied"))
        start = time.monotonic()
        while is_allowed() != allowed:
            assert time.monotonic() - start < 10
        took.append(time.monotonic() - start)
    print(f"\npolicy file change to enforced: median {statistics.median(took) * 1000:.0f} ms, worst {max(took) * 1000:.0f} ms")
    assert max(took) < 1


def issue(directory):
    """A self-signed certificate and its key, moved into place one after the other, as a careless rotation would."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=router.test", "-addext", "subjectAltName=DNS:router.test",
         "-keyout", directory / "key.new", "-out", directory / "crt.new"], check=True, capture_output=True)
    os.replace(directory / "crt.new", directory / "tls.crt")
    os.replace(directory / "key.new", directory / "tls.key")


def operator(demo, directory):
    """A connection that accepts exactly the certificate that is mounted now."""
    context = ssl.create_default_context(cafile=str(directory / "tls.crt"))
    context.check_hostname = False
    return http.client.HTTPSConnection("127.0.0.1", int(demo.environment["KARS_OPERATOR_PORT"]), context=context, timeout=10)


def status(connection, token):
    connection.request("GET", "/status", headers={"Authorization": "Bearer " + token})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_operator_keys_are_replaced_without_dropping_a_connection(demo):
    secrets = demo.directory / "secrets"
    before = operator(demo, secrets)
    assert status(before, OLD_TOKEN) == 200
    socket = before.sock
    issue(secrets)
    replace(secrets / "admin-token", NEW_TOKEN)

    def is_new():
        after = operator(demo, secrets)
        try:
            return status(after, NEW_TOKEN) == 200
        except ssl.SSLError:
            return False
        finally:
            after.close()

    wait_until(is_new, what="the new certificate and token")
    assert status(before, NEW_TOKEN) == 200
    assert status(before, OLD_TOKEN) == 401
    assert before.sock is socket, "the open connection was dropped"
