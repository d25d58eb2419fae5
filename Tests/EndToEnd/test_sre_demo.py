"""The repair that a person approves, as a presenter shows it: `scripts/demo-sre` on a cluster of its own, from beginning to end."""
import os
import re
import subprocess

from cluster import KARS
from conftest import ROOT, needs_namespaces


def test_a_repair_is_proposed_approved_applied_and_the_agent_recovers(kubectl_program, tmp_path_factory):
    needs_namespaces()
    home = tmp_path_factory.mktemp("demo")
    environment = {
        "PATH": f"{os.path.dirname(kubectl_program)}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8", "KARS": str(KARS)}
    shown = subprocess.run(
        [ROOT / "scripts/demo-sre"], capture_output=True, text=True, timeout=420, env=environment, stdin=subprocess.DEVNULL)
    text = shown.stdout
    assert shown.returncode == 0, f"exit {shown.returncode}\n{text}\n{shown.stderr}"
    # In this order: what happened, and what was refused meanwhile.
    expected = [
        "no new pod: exceeded quota", "refused: .*proposed Pending", "Proposed: after", "refused: .*no agent decides", "refused: .*never changes",
        "refused: .*forbidden", "a second proposal about the same object is not taken up", "repair: Approved by kubernetes-admin",
        "refused: .*is Approved already", "Applied: after", "Recovered: after", "the agent runs: after", "refused: .*a decision stands",
        r"approval\s+Approved by kubernetes-admin", "condition +Executed=True Executed", "approved by kubernetes-admin, previous value: .*50Mi",
        "no right is left behind",
    ]
    place = 0
    for part in expected:
        found = re.compile(part).search(text, place)
        assert found, f"not shown, or not in its place: {part}\n{text}"
        place = found.end()
    seconds = int(re.search(r"from approval to recovery: (\d+) s", text).group(1))
    assert seconds <= 60, "spec/sre 7: recovered within 60 s of the approval"
