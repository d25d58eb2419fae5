"""What a hostile agent tries from inside (acceptance 3). Each attempt must fail; each allowed thing must work."""
import base64
import contextlib
import os
import pathlib
import signal

import pytest

from conftest import PUBLIC_ADDRESS, PUBLIC_ADDRESS_6, wait_until


@pytest.fixture(scope="module")
def agent(kars):
    kars("dev", "--detach", "--policy", "developer", timeout=120)
    return lambda script, **options: kars.inside("dev-agent", script, **options)


def test_the_agent_is_nobody_special(agent):
    assert agent("id -u").stdout.strip() == "1000"
    status = agent("cat /proc/self/status").stdout
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    for line in status.splitlines():
        if line.startswith(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")):
            assert int(line.split()[1], 16) == 0, line


@pytest.mark.parametrize("target", [
    f"('{PUBLIC_ADDRESS}', 22)", f"('{PUBLIC_ADDRESS}', 8080)", "('169.254.169.254', 80)", "('10.0.0.1', 443)", "('127.0.0.1', 8446)",
    "('127.0.0.1', 9090)", "('127.0.0.1', 8445)",
])
def test_tcp_goes_nowhere_but_the_router(agent, target):
    script = f"import socket; s = socket.create_connection({target}, 3); s.sendall(b'GET / HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n'); s.settimeout(3); d = s.recv(100); assert d.startswith(b'HTTP/1.1 403'), d; print('refused by the router')"
    result = agent(f'python3 -c "{script}"')
    assert result.returncode != 0 or "refused by the router" in result.stdout, result


@pytest.mark.parametrize("own_address", ["8446", "9090", "8445"])
def test_the_operator_plane_is_out_of_reach_by_every_local_address(agent, own_address):
    script = f"""
import socket
addresses = {{'127.0.0.1', '::1', '127.1.2.3'}}
for line in open('/proc/net/fib_trie'):
    word = line.strip().split()[-1]
    if word.count('.') == 3 and '/' not in word: addresses.add(word)
for address in addresses:
    try:
        socket.create_connection((address, {own_address}), 2)
        print('REACHED', address)
    except OSError:
        pass
"""
    result = agent(f"python3 - <<'P'\n{script}\nP")
    assert result.returncode == 0, result
    assert "REACHED" not in result.stdout


def test_udp_icmp_and_ipv6_are_closed(agent, internet):
    before = len(internet.requests())
    script = f"""
import socket
for family, address in ((socket.AF_INET, '{PUBLIC_ADDRESS}'), (socket.AF_INET6, '{PUBLIC_ADDRESS_6}')):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(1)
    try:
        s.sendto(b'x', (address, 9999)); print('sent', s.recv(10))
    except OSError as error: print('closed', error)
try:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); s.settimeout(1)
    s.sendto(b'\\x08\\0\\0\\0\\0\\0\\0\\0', ('{PUBLIC_ADDRESS}', 0)); print('ping', s.recv(100))
except OSError as error: print('closed', error)
try: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); print('raw')
except OSError as error: print('closed', error)
try: socket.create_connection(('{PUBLIC_ADDRESS_6}', 22), 2); print('tcp6')
except OSError as error: print('closed', error)
"""
    result = agent(f"python3 - <<'P'\n{script}\nP")
    assert result.stdout.count("closed") == 5, result
    assert len(internet.requests()) == before


def test_dns_reaches_only_the_stub(agent, internet):
    query = r"b'\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06secret\x07example\x00\x00\x01\x00\x01'"
    script = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
s.sendto({query}, ('{PUBLIC_ADDRESS}', 53))
d = s.recv(512)
print('code', d[3] & 15, 'answers', d[7])
"""
    result = agent(f"python3 - <<'P'\n{script}\nP")
    assert "answers 0" in result.stdout, result
    assert not any("secret.example" in line for line in internet.requests()), "a forbidden name left the sandbox"


def test_no_credential_is_in_sight(agent, kars, kubectl_program):
    secret = kars.kubectl(kubectl_program, "get", "secret", "dev-agent-router", "--namespace", "kars-dev-agent")
    token = base64.b64decode(secret["data"]["admin-token"]).decode()
    everything = agent("env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; mount; ls -laR /etc/kars /run /var/lib/kars 2>/dev/null; id").stdout
    assert token not in everything
    assert agent("ps ax -o pid,args").stdout.count("router") == 0
    assert agent(f"grep -rl {token} / --include=* -s --exclude-dir=proc --exclude-dir=sys 2>/dev/null | head -3", timeout=120).stdout == ""


@pytest.mark.parametrize("path", [
    "/etc/shadow", "/root/.bashrc", "/etc/kars/secrets/admin-token", "/var/lib/kars/audit", "/run/secrets", "/proc/1/mem", "/proc/kcore", "/dev/mem",
])
def test_files_of_others_cannot_be_read(agent, path):
    assert agent(f"cat {path}/* {path}").returncode != 0


def test_nothing_outside_the_workspace_can_be_written(agent):
    for path in ("/x", "/etc/x", "/usr/x", "/var/x", "/proc/sys/kernel/x", "/dev/x"):
        assert agent(f"echo x > {path}").returncode != 0, path
    assert agent("echo x > /sandbox/x && echo y > /tmp/y").returncode == 0


def test_set_uid_gains_nothing(agent):
    assert agent("find / -xdev -perm -4000 -name su 2>/dev/null | head -1; su -c id root </dev/null").stdout.count("uid=0") == 0
    assert agent("unshare -Ur id -u").returncode != 0
    assert agent("unshare -n true").returncode != 0
    assert agent("mount -t tmpfs x /tmp").returncode != 0
    assert agent("strace -p 1").returncode != 0


def test_a_permitted_host_works_both_ways_and_others_are_refused_by_rule(agent, kars, internet):
    def approved():
        result = agent("curl -sS --max-time 5 http://good.example/page")
        return "hello from good.example/page" in result.stdout

    assert not approved()
    kars("egress", "dev-agent", "--approve", "good.example:80")
    kars("egress", "dev-agent", "--approve", "good.example:443")
    wait_until(approved, 5, "the approved host")

    proxied = agent("curl -sS -k --max-time 5 -x http://127.0.0.1:8444 https://good.example/proxied")
    assert "hello from good.example/proxied" in proxied.stdout, proxied
    direct = agent("env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY -u all_proxy curl -sS -k --max-time 5 https://good.example/direct")
    assert "hello from good.example/direct" in direct.stdout, direct
    plain = agent("env -u http_proxy -u HTTP_PROXY curl -sS --max-time 5 http://good.example/plain")
    assert "hello from good.example/plain" in plain.stdout, plain

    refused = agent("curl -sS -k --max-time 5 -D - -x http://127.0.0.1:8444 http://bad.example/")
    assert "403" in refused.stdout and "not in allowlist" in refused.stdout and '"rule"' in refused.stdout, refused
    agent("curl -sS -k --max-time 5 https://bad.example/")
    pending = kars.json("egress", "dev-agent", "--pending")["pending"]
    assert any(entry["domain"] == "bad.example" for entry in pending), pending
    assert not any("bad.example" in line for line in internet.requests())


def test_names_that_resolve_to_private_addresses_are_refused(agent, kars):
    for name in ("private.example", "metadata.example"):
        kars("egress", "dev-agent", "--approve", f"{name}:80")
        result = agent(f"curl -sS --max-time 5 -o /dev/null -w '%{{http_code}}' -x http://127.0.0.1:8444 http://{name}/")
        assert result.stdout in ("403", "502"), result


def test_server_name_and_host_must_agree(agent):
    result = agent("curl -sS -k --max-time 5 --resolve bad.example:443:%s https://bad.example/" % PUBLIC_ADDRESS)
    assert result.returncode != 0
    result = agent("curl -sS --max-time 5 -H 'Host: good.example' -x http://127.0.0.1:8444 http://bad.example/ -o /dev/null -w '%{http_code}'")
    assert result.stdout in ("400", "403"), result


def test_a_dead_supervisor_leaves_nothing_behind(kars):
    supervisor = kars.supervisor()
    session = lambda: {pid for pid, root in processes().items() if root == supervisor}
    inside = session()
    assert len(inside) >= 3, inside

    os.kill(supervisor, signal.SIGKILL)

    wait_until(lambda: not inside & processes().keys(), 10, "the end of every process")
    assert str(kars.pod()) not in open("/proc/mounts").read()


def processes():
    """Every process of this machine, with the oldest of its parents that is not the first process."""
    parents = {}
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(directory.name)] = int((directory / "stat").read_text().rpartition(")")[2].split()[1])

    def root(pid):
        while parents.get(pid, 0) > 1:
            pid = parents[pid]
        return pid

    return {pid: root(pid) for pid in parents}
