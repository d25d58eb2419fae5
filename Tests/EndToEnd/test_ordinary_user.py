"""Sandboxes of an ordinary user: a person of this machine with subordinate ids and no other right (issue 2, section 5).

The machine's /dev/net/tun stays as it is. Where it is closed to users, that is one test; the others run where a private mount
namespace holds a device of its own that is open.
"""
import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import uuid

import pytest

from conftest import KARS, Kars, needs_namespaces, sh, wait_until

OPEN_TUN = "mount -t tmpfs tmpfs /dev/net && mknod /dev/net/tun c 10 200 && chmod 0666 /dev/net/tun"


class AsUser:
    """The laptop as an ordinary user finds it; `prelude` is done by root before, in a mount namespace of the command's own."""

    def __init__(self, internet, name, prelude="true"):
        self.internet = internet
        self.words = [
            "unshare", "--mount", "--propagation", "private", "sh", "-c", f'{prelude} && exec "$@"', "sh",
            "setpriv", "--reuid", name, "--regid", name, "--init-groups", "--inh-caps=-all", "--"]

    def run(self, command, **options):
        return self.internet.run([*self.words, *command], **options)

    def popen(self, command, **options):
        return self.internet.popen([*self.words, *command], **options)


@pytest.fixture(scope="module")
def user():
    needs_namespaces()
    for tool in ("useradd", "userdel", "setpriv", "newuidmap", "newgidmap"):
        if shutil.which(tool) is None:
            pytest.skip(f"skipped: {tool} is not installed")
    name = "kars-e2e-" + uuid.uuid4().hex[:8]
    base = pathlib.Path(tempfile.mkdtemp(prefix="kars-user-"))
    base.chmod(0o755)
    sh("useradd", "--create-home", "--home-dir", base / "home", "--shell", "/bin/sh", name)
    try:
        if f"{name}:" not in pathlib.Path("/etc/subuid").read_text():
            sh("usermod", "--add-subuids", "700000000-700065535", "--add-subgids", "700000000-700065535", name)
        shutil.copy(KARS, base / "kars")
        yield pwd.getpwnam(name)
    finally:
        sh("userdel", name)
        shutil.rmtree(base)


def command(internet, user, prelude="true"):
    home = pathlib.Path(user.pw_dir)
    return Kars(AsUser(internet, user.pw_name, prelude), home, binary=home.parent / "kars")


@pytest.fixture(scope="module")
def mine(internet, user):
    """The command line of a user to whom /dev/net/tun is open."""
    attempt = internet.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", OPEN_TUN], capture_output=True, text=True)
    if attempt.returncode != 0:
        pytest.skip(f"skipped: no private /dev/net/tun can be made here: {attempt.stderr.strip()}")
    kars = command(internet, user, OPEN_TUN)
    with contextlib.closing(kars):
        kars("dev", "--detach", "--policy", "developer", timeout=120)
        yield kars


def test_a_closed_device_is_named_with_the_command_that_opens_it(internet, user):
    if os.stat("/dev/net/tun").st_mode & 0o006 == 0o006:
        pytest.skip("skipped: /dev/net/tun is open to users on this machine")
    kars = command(internet, user)
    result = kars("dev", "--detach", check=False)
    assert result.returncode == 2, result
    assert f"/dev/net/tun is closed to {user.pw_name}" in result.stderr
    assert "sudo chmod 0666 /dev/net/tun" in result.stderr
    assert kars.json("list") == []
    assert not kars.cluster.exists()


def test_a_user_without_subordinate_ids_is_told_the_command_that_gives_them(internet, user):
    hide = "for f in /etc/subuid /etc/subgid; do mount --bind /dev/null $f || exit 1; done"
    result = command(internet, user, f"{hide} && {OPEN_TUN}")("dev", "--detach", check=False)
    assert result.returncode == 2, result
    assert f"usermod --add-subuids 165536-231071 --add-subgids 165536-231071 {user.pw_name}" in result.stderr


def test_the_sandbox_runs_under_ids_that_are_nobody_elses(mine, user):
    assert [(s["name"], s["status"]) for s in mine.json("list")] == [("dev-agent", "Running")]
    assert mine.inside("dev-agent", "id -u; id -g; id -un").stdout.split() == ["1000", "1000", "agent"]
    uids = {b" ".join(words[1:3]): uid for _, words, uid in processes_of(user)}
    assert uids[b"router"] == user.pw_uid, uids
    assert uids[b"agent run"] not in (0, user.pw_uid), uids


def test_the_agent_works_and_its_records_belong_to_the_user(mine, user):
    mine.inside("dev-agent", "echo hello > /sandbox/of-an-ordinary-user.txt", check=True)
    assert "of-an-ordinary-user.txt" in mine("connect", "dev-agent", "--prompt", "list the files in my workspace").stdout
    mine("audit", "verify", "dev-agent")
    records = list((mine.pod() / "volumes/router-state/audit").glob("*.jsonl"))
    assert records and all(path.stat().st_uid == user.pw_uid for path in records)


def test_the_agent_is_confined_as_under_root(mine, user):
    status = mine.inside("dev-agent", "cat /proc/self/status").stdout
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    assert all(int(line.split()[1], 16) == 0 for line in status.splitlines() if line.startswith("Cap"))
    for attempt in (
        "curl -m 3 --noproxy '*' http://11.22.33.44:8080/", "python3 -c \"import socket; socket.create_connection(('127.0.0.1', 8446), 2)\"",
        f"ls {user.pw_dir}", "cat /etc/subuid", "cat /proc/1/environ", "echo x > /etc/x", "unshare -Ur true",
    ):
        assert mine.inside("dev-agent", attempt).returncode != 0, attempt


def test_what_this_machine_does_not_limit_is_said(mine):
    notes = json.loads((mine.pod() / "status.json").read_text())["notes"]
    assert notes == ["memory limits are not enforced: this user may not make control groups"]


def test_a_killed_supervisor_leaves_nothing_and_the_sandbox_comes_back(mine, user):
    supervisor = mine.supervisor()
    before = {pid for pid, words, _ in processes_of(user) if words[:2] in ([b"kars", b"router"], [b"kars", b"agent"])}
    assert len(before) >= 2
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not before & {pid for pid, _, _ in processes_of(user)}, what="the end of its containers")
    mine("dev", "--detach", timeout=120)
    assert mine.supervisor() != supervisor
    assert mine.inside("dev-agent", "cat /sandbox/of-an-ordinary-user.txt").stdout == "hello\n"
    mine("audit", "verify", "dev-agent")


def test_destroy_removes_files_of_every_user_of_the_pod(mine, user):
    mine.inside("dev-agent", "mkdir -p -m 700 /sandbox/private/deep; echo x > /sandbox/private/deep/file", check=True)
    owner = (mine.pod() / "volumes/sandbox-data/private").stat()
    assert owner.st_uid != user.pw_uid and stat.S_ISDIR(owner.st_mode)
    mine("destroy", "dev-agent", "--yes")
    assert mine.json("list") == []
    assert mine.pods() == {}
    mine("local", "reset", "--yes")
    assert not mine.cluster.exists()
    assert not processes_of(user)


def processes_of(user):
    """Number, arguments and owner of every living process of the user and of the users of its pods."""
    ranges = [(user.pw_uid, 1)]
    for line in pathlib.Path("/etc/subuid").read_text().splitlines():
        name, first, count = line.split(":")
        if name == user.pw_name:
            ranges.append((int(first), int(count)))
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            uid = os.stat(f"/proc/{name}").st_uid
            words = pathlib.Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")[:-1]
            if words and any(first <= uid < first + count for first, count in ranges):
                found.append((int(name), words, uid))
    return found
