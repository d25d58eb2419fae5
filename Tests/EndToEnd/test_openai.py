"""The unmodified openai package as a bring-your-own agent, against a model server that requires a key (acceptance 4, 5)."""
import json
import pathlib
import tarfile

import pytest

from conftest import HERE, ROOT, ModelServer, wait_until
from conftest import MODEL_KEY as KEY


@pytest.fixture(scope="module")
def model(internet, tmp_path_factory):
    server = ModelServer(internet, tmp_path_factory.mktemp("model"))
    yield server
    server.process.terminate()


@pytest.fixture(scope="module")
def byo(kars, model, tmp_path_factory):
    """A sandbox whose agent is `byo_agent.py`; returns a function that runs a Python script beside it."""
    directory = tmp_path_factory.mktemp("byo")
    (directory / "key").write_text(KEY)
    wait = "while ! test -f /sandbox/ready; do sleep 0.1; done; PYTHONPATH=/sandbox/packages exec /usr/bin/python3 /sandbox/byo_agent.py"
    kars("dev", "--detach", "--name", "byo", "--runtime", "byo", "--command", f"sh -c '{wait}'", "--provider", "openai", "--endpoint", model.url,
         "--model", "test-model", "--api-key-file", directory / "key", timeout=120)
    bundle = directory / "bundle.tar"
    with tarfile.open(bundle, "w") as tar:
        packages = next((ROOT / ".build/e2e-venv/lib").glob("python3*/site-packages"))
        tar.add(packages, "packages", filter=lambda info: None if "__pycache__" in info.name or "/pip" in info.name else info)
        tar.add(HERE / "byo_agent.py", "byo_agent.py")
    with bundle.open("rb") as file:
        kars("exec", "byo", "--", "tar", "-x", "-C", "/sandbox", "--no-same-owner", stdin=file, timeout=120)
    kars.inside("byo", "mkdir -p /sandbox/.local && touch /sandbox/ready", check=True)

    def run(script, check=True, timeout=60):
        program = "import sys; sys.path.insert(0, '/sandbox/packages')\nimport openai, json, os, time\nclient = openai.OpenAI(max_retries=0)\n" + script
        return kars("exec", "byo", "--", "/usr/bin/python3", "-", input=program, check=check, timeout=timeout).stdout

    return run


def test_a_buffered_call_reaches_the_server_with_the_real_key(byo, kars, model):
    out = byo("r = client.chat.completions.create(model='test-model', messages=[{'role':'user','content':'hello'}]); print(r.choices[0].message.content, r.usage.total_tokens)")
    assert "you said: hello 12" in out
    assert model.log()[-1]["authorization"] == f"Bearer {KEY}"
    assert KEY not in kars.inside("byo", "env; cat /proc/[0-9]*/environ; grep -rs sk-the /sandbox --include=*.json").stdout


def test_models_can_be_listed(byo):
    assert "test-model" in byo("print([m.id for m in client.models.list()])")


def test_events_arrive_one_by_one(byo):
    out = byo("""
times = []
for chunk in client.chat.completions.create(model='test-model', stream=True, messages=[{'role':'user','content':'slow stream of five words'}]):
    times.append(time.monotonic())
print(json.dumps([b - a for a, b in zip(times, times[1:])]))
""")
    gaps = json.loads(out)
    assert sum(gap > 0.1 for gap in gaps) >= 4, gaps


def test_tool_calls_work_buffered_and_streamed(byo):
    tools = "tools=[{'type':'function','function':{'name':'get_weather','parameters':{'type':'object','properties':{'city':{'type':'string'}}}}}]"
    out = byo(f"""
m = [{{'role':'user','content':'use a tool'}}]
r = client.chat.completions.create(model='test-model', messages=m, {tools})
c = r.choices[0].message.tool_calls[0]
print(c.function.name, c.function.arguments)
m += [r.choices[0].message, {{'role':'tool','tool_call_id':c.id,'content':'rain'}}]
print(client.chat.completions.create(model='test-model', messages=m, {tools}).choices[0].message.content)
parts = [p.choices[0].delta.tool_calls for p in client.chat.completions.create(model='test-model', stream=True, messages=m[:1], {tools}) if p.choices and p.choices[0].delta.tool_calls]
print('streamed', parts[0][0].function.name)
""")
    assert 'get_weather {"city":"Oslo"}' in out
    assert "the tool said: rain" in out
    assert "streamed get_weather" in out


def test_cancelling_cancels_upstream(byo, model):
    before = sum(e["event"] == "cancelled" for e in model.log())
    byo("""
stream = client.chat.completions.create(model='test-model', stream=True, messages=[{'role':'user','content':'slow stream ' + 'word ' * 60}])
next(iter(stream)); stream.close()
""")
    wait_until(lambda: sum(e["event"] == "cancelled" for e in model.log()) > before, 10, "the cancelled upstream call")


@pytest.mark.parametrize("prompt, stream", [("garbage", False), ("garbage", True), ("break it off now please", True)])
def test_a_broken_provider_is_a_clear_error(byo, prompt, stream):
    out = byo(f"""
try:
    r = client.chat.completions.create(model='test-model', stream={stream}, messages=[{{'role':'user','content':'{prompt}'}}])
    for chunk in (r if {stream} else []): pass
    print('NO ERROR')
except openai.APIError as error:
    print('error', type(error).__name__, error)
""")
    assert out.startswith("error"), out


def test_connect_speaks_to_the_reference_agent(byo, kars):
    answer = wait_until(lambda: kars("connect", "byo", "--prompt", "good day", check=False), 20)
    assert "you said: good day" in answer.stdout, answer


def test_a_daily_budget_stops_the_call_that_would_pass_it(kars, model, internet, tmp_path_factory):
    key = tmp_path_factory.mktemp("budget") / "key"
    key.write_text(KEY)
    kars("dev", "--detach", "--name", "frugal", "--provider", "openai", "--endpoint", model.url, "--model", "test-model", "--api-key-file", key,
         "--token-budget-daily", "2850", timeout=120)
    call = lambda stream, text: kars("exec", "frugal", "--", "curl", "-sS", "-i", "-N", "http://127.0.0.1:8443/v1/chat/completions", "-H", "content-type: application/json",
        "-d", json.dumps({"model": "test-model", "stream": stream, "max_tokens": 100, "messages": [{"role": "user", "content": text}]})).stdout
    assert " 200 " in call(False, "spend 1400").splitlines()[0]
    assert "[DONE]" in call(True, "spend 1400")
    for stream in (False, True):
        refused = call(stream, "spend 500")
        assert " 429 " in refused.splitlines()[0], refused
        assert "retry-after:" in refused.lower()
        assert "budget_exceeded" in refused and "reset" in refused
    seen = sum(e["event"] == "request" for e in model.log())
    # Kill the router without warning; what was spent must still be spent.
    restarts = router(kars)["restarts"]
    internet.run(["kill", "-9", *router_processes("frugal")], check=True)
    wait_until(lambda: router(kars)["restarts"] > restarts and router(kars)["state"] == "running", 20, "the restart of the router")
    refused = wait_until(lambda: (lambda text: text if text.startswith("HTTP/") else None)(kars(
        "exec", "frugal", "--", "curl", "-sS", "-i", "http://127.0.0.1:8443/v1/chat/completions", "-H", "content-type: application/json", "-d",
        json.dumps({"model": "test-model", "max_tokens": 100, "messages": [{"role": "user", "content": "spend 500"}]}), check=False).stdout), 20)
    assert " 429 " in refused.splitlines()[0], refused
    assert sum(e["event"] == "request" for e in model.log()) == seen



def router(kars):
    return next(c for c in kars.json("status", "frugal", check=False)["containers"] if c["name"] == "inference-router")


def router_processes(sandbox):
    """PIDs of `kars router` of one sandbox, seen from the machine."""
    found = []
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (directory / "cmdline").read_bytes().split(b"\0")
            environment = (directory / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if command[:2] == [b"kars", b"router"] and f"SANDBOX_NAME={sandbox}".encode() in environment:
            found.append(directory.name)
    assert found, "no router is running"
    return found
