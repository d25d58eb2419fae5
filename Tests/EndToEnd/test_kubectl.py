"""Stock kubectl on the local cluster, step by step (kubectl_steps.py does the same to any other API server)."""
import pytest

import kubectl_steps
from kubectl_driver import STEPS, Kubectl, Skipped


@pytest.fixture(scope="module")
def kubectl(local_cluster, kubectl_program, tmp_path_factory):
    k = Kubectl(kubectl_program, local_cluster.kubeconfig, tmp_path_factory.mktemp("kubectl"))
    k.setup()
    yield k
    k.teardown()


@pytest.mark.parametrize("name", STEPS)
def test_step(kubectl, name):
    try:
        STEPS[name](kubectl)
    except Skipped as reason:
        pytest.skip(f"skipped: {reason}")
