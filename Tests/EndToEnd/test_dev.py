"""`kars dev` as a new user meets it: nothing configured, one command, a governed agent (acceptance 2)."""
import json


def test_one_command_brings_up_a_governed_agent(kars):
    kars("dev", "--detach", timeout=120)
    sandboxes = kars.json("list")
    assert [(s["name"], s["status"]) for s in sandboxes] == [("dev-agent", "Running")]

    kars.inside("dev-agent", "echo hello > /sandbox/unmistakable-name.txt", check=True)
    answer = kars("connect", "dev-agent", "--prompt", "list the files in my workspace")
    assert "unmistakable-name.txt" in answer.stdout

    records = [json.loads(line) for line in kars("audit", "tail", "dev-agent", "--json").stdout.splitlines()]
    actions = [record["action"] for record in records]
    assert any(action.startswith("inference:chat_completions:") for action in actions)
    assert any(action.startswith("tool:list_files") for action in actions)
    kars("audit", "verify", "dev-agent")


def test_a_second_dev_finds_the_first(kars):
    again = kars("dev", "--detach", timeout=120)
    assert "running" in (again.stdout + again.stderr).lower()
    assert len(kars.json("list")) == 1


def test_the_tour_without_a_terminal_shows_what_the_readme_says(kars):
    tour = kars("dev", timeout=120)
    text = tour.stdout + tour.stderr
    assert "unmistakable-name.txt" in text
    assert "not in allowlist" in text
    assert "the chain of dev-agent holds" in text


def test_prompts_use_every_kind_of_tool(kars):
    connect = lambda prompt: kars("connect", "dev-agent", "--prompt", prompt).stdout
    assert "wrote" in connect("write some-words to note.txt")
    assert "some-words" in connect("read note.txt")
    assert "1000" in connect("run id -u")
    refused = connect("fetch https://not-permitted.example/")
    assert "not in allowlist" in refused


def test_commands_say_what_does_not_exist(kars):
    for command in (["connect", "nobody", "--prompt", "x"], ["status", "nobody"], ["logs", "nobody"], ["audit", "verify", "nobody"],
                    ["destroy", "nobody", "--yes"], ["exec", "nobody", "--", "id"]):
        result = kars(*command, check=False)
        assert result.returncode == 3, (command, result)
        assert "nobody" in result.stderr


def test_wrong_usage_is_exit_code_2(kars):
    for command in (["dev", "--name", "Not_A_Name", "--detach"], ["no-such-command"], ["dev", "--policy", "lax"], ["egress", "dev-agent", "--learn", "--enforce"],
                    ["dev", "--runtime", "byo", "--detach", "--name", "other"]):
        assert kars(*command, check=False).returncode == 2, command


def test_status_and_logs(kars):
    status = kars.json("status", "dev-agent")
    assert status["phase"] == "Running"
    assert status["provider"] == "demo"
    assert "demo" in json.dumps(status).lower()
    assert kars("logs", "dev-agent", "--service", "router").stdout.strip()


def test_exec_passes_exit_codes_and_streams(kars):
    assert kars("exec", "dev-agent", "--", "id", "-u").stdout.strip() == "1000"
    assert kars("exec", "dev-agent", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    echoed = kars("exec", "dev-agent", "--", "cat", input="through\n")
    assert echoed.stdout == "through\n"


def test_it_is_a_sandbox_of_the_embedded_cluster(kars, kubectl_program):
    (sandbox,) = kars.kubectl(kubectl_program, "get", "cs", "--all-namespaces")["items"]
    assert sandbox["metadata"]["name"] == "dev-agent" and sandbox["status"]["phase"] == "Running"
    assert {c["type"]: c["status"] for c in sandbox["status"]["conditions"]}["Ready"] == "True"


def test_another_is_added_beside_it(kars):
    kars("add", "second", "--runtime", "native", "--provider", "demo", "--model", "demo", timeout=120)
    assert {s["name"]: s["status"] for s in kars.json("list")} == {"dev-agent": "Running", "second": "Running"}
    kars("destroy", "second", "--yes", timeout=120)
    assert [s["name"] for s in kars.json("list")] == ["dev-agent"]


def test_down_keeps_and_destroy_removes(kars, kubectl_program):
    kars("dev", "down")
    stopped = kars("list", "--output", "json")
    assert json.loads(stopped.stdout) == [] and "not running" in stopped.stderr
    kars("dev", "--detach", timeout=120)
    assert "hello" in kars.inside("dev-agent", "cat /sandbox/unmistakable-name.txt", check=True).stdout
    kars("audit", "verify", "dev-agent")
    kars("destroy", "dev-agent", "--yes", timeout=120)
    assert kars.json("list") == []
    assert kars.pods() == {} and list((kars.home / "kars/evidence").glob("*")) == []
    left = kars.kubectl(kubectl_program, "get", "namespaces,clusterrolebindings,toolpolicies,inferencepolicies", "--all-namespaces")["items"]
    assert not [item["metadata"]["name"] for item in left if "dev-agent" in item["metadata"]["name"]]
