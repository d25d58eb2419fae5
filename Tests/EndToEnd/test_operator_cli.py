"""The operator's command line on a cluster: the embedded one with its controller, through its API alone (issue 4, acceptance 1)."""
import json
import os
import stat

import pytest

from conftest import wait_until

NAME = "second"


@pytest.fixture(scope="module", autouse=True)
def cluster(kars):
    kars("local", "start", "--with-controller", timeout=120)
    yield
    kars("local", "stop", check=False, timeout=60)


@pytest.fixture(scope="module")
def sandbox(kars, cluster):
    kars("add", NAME, "--runtime", "native", "--provider", "demo", "--model", "demo", "--dev-only", timeout=180)
    return NAME


def test_a_dry_run_is_what_kubectl_takes_and_sends_nothing(kars, kubectl_program):
    text = kars("add", "planned", "--runtime", "native", "--provider", "demo", "--model", "demo", "--dry-run").stdout
    kubeconfig = kars("local", "kubeconfig", "--path").stdout.strip()
    checked = kars.internet.run(
        [kubectl_program, "--kubeconfig", kubeconfig, "apply", "--dry-run=server", "-f", "-"], input=text, capture_output=True, text=True,
        env=kars.environment)
    assert checked.returncode == 0, checked.stderr
    assert "planned" not in json.dumps(kars.json("list"))


def test_it_runs_and_says_so(kars, sandbox):
    (row,) = kars.json("list")
    assert (row["name"], row["status"], row["runtime"], row["model"]) == (NAME, "Running", "Native", "demo")
    status = kars.json("status", NAME)
    assert status["phase"] == "Running"
    assert {c["name"] for c in status["containers"]} >= {"agent", "inference-router", "egress-guard"}
    assert status["router"]["ready"] is True


def test_connect_reaches_the_agent_and_the_record_holds(kars, sandbox):
    assert "hello.txt" in kars("connect", NAME, "--prompt", "write hello to hello.txt").stdout
    assert "hello.txt" in kars("connect", NAME, "--prompt", "list the files in my workspace").stdout
    records = [json.loads(line) for line in kars("audit", "tail", NAME, "--json").stdout.splitlines()]
    assert any(record["action"].startswith("tool:write_file") for record in records)
    first = kars.json("audit", "verify", NAME)
    assert first["valid"] is True
    kars("connect", NAME, "--prompt", "list the files in my workspace")
    second = kars.json("audit", "verify", NAME)
    assert second["records"] > first["records"] and second["public_key"] == first["public_key"]


def test_a_chain_that_does_not_hold_what_was_seen_is_refused(kars, sandbox):
    kars("audit", "verify", NAME)
    (memory,) = (kars.home / "kars/evidence").glob("*/audit-verified.json")
    kept = memory.read_text()
    seen = json.loads(kept)
    number, digest = seen["head"].split(":")
    memory.write_text(json.dumps({**seen, "head": f"{number}:{'0' * len(digest)}"}))
    refused = kars("audit", "verify", NAME, check=False)
    assert refused.returncode == 1 and "does not hold" in refused.stderr
    memory.write_text(kept)
    kars("audit", "verify", NAME)


def test_exec_passes_codes_and_streams(kars, sandbox):
    assert kars("exec", NAME, "--", "id", "-u").stdout.strip() == "1000"
    assert kars("exec", NAME, "--", "sh", "-c", "exit 7", check=False).returncode == 7
    assert kars("exec", NAME, "--", "cat", input="through\n").stdout == "through\n"
    big = "x" * 300_000
    assert kars("exec", NAME, "--", "cat", input=big).stdout == big
    both = kars("exec", NAME, "--", "sh", "-c", "echo out; echo err >&2")
    assert (both.stdout, both.stderr) == ("out\n", "err\n")


def test_logs_per_container(kars, sandbox):
    assert kars("logs", NAME, "--service", "router").stdout.strip()
    whole = kars("logs", NAME).stdout
    assert "inference-router | " in whole


def test_the_operator_plane_answers_through_the_cluster(kars, sandbox):
    assert kars.json("egress", NAME, "--status")["mode"]
    kars("egress", NAME, "--approve", "good.example:443")
    assert any("good.example" in host for host in kars.json("egress", NAME)["allowlist"])
    policy = kars.json("policy", "get", NAME)
    assert policy["profile"] and policy["enforced"]["entries"]
    entries = kars.json("inspect", NAME)["entries"]
    assert {entry["kind"] for entry in entries} >= {"AgtProfile", "InferencePolicy"}


def test_an_edit_of_the_allow_list_reaches_the_running_router(kars, sandbox):
    hosts = lambda: kars.json("egress", NAME)["allowlist"]
    assert not any("added.example" in host for host in hosts())
    kars("policy", "allow", NAME, "added.example")
    wait_until(lambda: any("added.example" in host for host in hosts()), 20, "the host in the router")
    kars("policy", "deny", NAME, "added.example")
    wait_until(lambda: not any("added.example" in host for host in hosts()), 20, "the host gone from the router")


def test_policies_by_command(kars, tmp_path):
    kars("toolpolicy", "apply", "shop", "--sandbox-label", "app=shop", "--tool", "pay", "--daily-cap", "USD 10.00")
    assert "unchanged" in kars("tp", "apply", "shop", "--sandbox-label", "app=shop", "--tool", "pay", "--daily-cap", "USD 10.00").stdout
    assert [p["metadata"]["name"] for p in kars.json("tp", "list") if p["metadata"]["name"] == "shop"] == ["shop"]
    file = tmp_path / "policy.yaml"
    file.write_text("spec:\n  appliesTo: {sandboxMatchLabels: {app: shop}}\n  rateLimits: {rps: 1}\n")
    wrong = kars("tp", "apply", "shop", "--from-file", str(file), check=False)
    assert wrong.returncode == 2 and "rateLimits" in wrong.stderr
    kars("tp", "delete", "shop", "--no-prompt")
    assert kars("tp", "get", "shop", check=False).returncode == 3


def test_what_is_not_there_is_exit_code_3(kars, sandbox):
    for command in (["status", "nobody"], ["connect", "nobody", "--prompt", "x"], ["logs", "nobody"], ["exec", "nobody", "--", "id"],
                    ["destroy", "nobody", "--yes"], ["model", "get", "nobody"], ["inspect", "nobody"], ["audit", "verify", "nobody"],
                    ["eval", "show", "nobody"], ["sre", "show", "nobody"], ["mcp", "get", "nobody"]):
        result = kars(*command, check=False)
        assert result.returncode == 3, (command, result)
        assert "nobody" in result.stderr


def test_a_second_of_the_same_name_is_refused(kars, sandbox):
    again = kars("add", NAME, "--runtime", "native", check=False)
    assert again.returncode == 2 and "exists" in again.stderr


def test_what_cannot_start_ends_the_wait_with_its_reason(kars):
    failed = kars("add", "imageless", "--runtime", "byo", "--byo-image", "nowhere.example/none:1", "--provider", "demo", "--model", "demo",
                  check=False, timeout=120)
    assert failed.returncode == 1 and "ImagePull" in failed.stderr, failed
    kars("destroy", "imageless", "--yes", timeout=120)


def test_credentials_never_leave_through_arguments(kars):
    kars("credentials", "set", "telegram-token", input="12345:the-telegram-token\n")
    kars("add", "chatty", "--runtime", "openclaw", "--channels", "telegram", "--provider", "demo", "--model", "demo", "--no-wait", timeout=120)
    kubeconfig = kars("local", "kubeconfig", "--path").stdout.strip()
    assert stat.S_IMODE(os.stat(kubeconfig).st_mode) == 0o600
    sandbox = kars("status", "chatty").stdout
    assert "the-telegram-token" not in sandbox
    kars("destroy", "chatty", "--yes", timeout=120)


def test_destroy_leaves_nothing(kars, sandbox):
    kars("destroy", NAME, "--yes", timeout=120)
    assert kars.json("list") == []
    for verb in ("tp", "ip"):
        assert not [p for p in kars.json(verb, "list") if NAME in p["metadata"]["name"]]


def test_without_a_cluster_the_command_says_what_to_do(kars):
    kars("local", "stop", timeout=60)
    refused = kars("tp", "list", check=False)
    assert refused.returncode == 2 and "kars local start" in refused.stderr
    assert kars.json("list") == []
