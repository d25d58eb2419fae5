"""kubectl with one kubeconfig and one namespace, and the steps that are done with it; see kubectl_steps.py."""
import json
import os
import pathlib
import subprocess
import time
import uuid

STEPS = {}


class Skipped(Exception):
    """The server lacks something that the step needs and that is not this script's subject."""


def step(function):
    STEPS[function.__name__] = function
    return function


class Kubectl:
    """kubectl with one kubeconfig and one namespace."""

    def __init__(self, program, kubeconfig, directory, image="host"):
        """`image` has sh, sleep and the like, tar, and python3 or httpd."""
        self.program, self.kubeconfig, self.directory = program, str(kubeconfig), pathlib.Path(directory)
        self.image = image
        self.suffix = uuid.uuid4().hex[:6]
        self.namespace = f"kubectl-{self.suffix}"
        self.group = f"e{self.suffix}.example.com"
        self.environment = {**os.environ, "HOME": str(directory), "KUBECONFIG": self.kubeconfig, "KUBECTL_COMMAND_HEADERS": "false"}

    def __call__(self, line, *more, expect=0, given=None, timeout=60, environment=None):
        """Runs a command in the namespace and returns what it printed on both streams."""
        result = self.run(line, *more, given=given, timeout=timeout, environment=environment)
        text = result.stdout + result.stderr
        if expect is not None and result.returncode != expect:
            raise AssertionError(f"kubectl {line} {' '.join(more)}: exit {result.returncode} and not {expect}\n{text}")
        return text

    def run(self, line, *more, given=None, timeout=60, environment=None):
        return subprocess.run(
            self.words(line, more), capture_output=True, text=True, timeout=timeout, input=given, env={**self.environment, **(environment or {})})

    def words(self, line, more=()):
        return [self.program, "--namespace", self.namespace, *line.split(), *more]

    def out(self, line, *more, **options):
        """Standard output alone, which must come with success."""
        result = self.run(line, *more, **options)
        assert result.returncode == 0, f"kubectl {line}: exit {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout

    def json(self, line, *more, **options):
        return json.loads(self.out(line + " -o json", *more, **options))

    def file(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def apply(self, text, line="apply", **options):
        return self(f"{line} -f -", given=text, **options)

    def until(self, condition, what, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError(f"{what} did not happen within {seconds} s")

    def has_controllers(self):
        """Whether somebody works on Deployments."""
        name = "probe-" + uuid.uuid4().hex[:4]
        self(f"create deployment {name} --image=example.com/none:1 --replicas=0")
        try:
            self.until(lambda: self.json(f"get deployment {name}")["status"].get("observedGeneration"), "a look at a Deployment", 5)
            return True
        except AssertionError:
            return False
        finally:
            self(f"delete deployment {name} --wait=false")

    def has_node(self):
        """Whether pods run."""
        return "True" in self.out("get nodes", "-o", 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}')

    def crd(self):
        return f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: gadgets.{self.group}}}
spec:
  group: {self.group}
  scope: Namespaced
  names: {{kind: Gadget, plural: gadgets, singular: gadget, shortNames: [gd{self.suffix}], categories: [e{self.suffix}]}}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {{status: {{}}, scale: {{specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}}}
    additionalPrinterColumns:
    - {{name: Size, type: integer, jsonPath: .spec.size, description: How big.}}
    - {{name: Color, type: string, jsonPath: .spec.color, priority: 1}}
    schema:
      openAPIV3Schema:
        type: object
        description: A gadget of a test.
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {{type: integer, minimum: 1, description: How big it is.}}
              color: {{type: string, enum: [red, blue]}}
              replicas: {{type: integer}}
              parts:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {{name: {{type: string}}, count: {{type: integer}}}}
          status: {{type: object, properties: {{replicas: {{type: integer}}, phase: {{type: string}}}}}}
"""

    def gadget(self, name, size=1, extra=""):
        return f"apiVersion: {self.group}/v1\nkind: Gadget\nmetadata: {{name: {name}}}\nspec: {{size: {size}{extra}}}\n"

    def setup(self):
        self(f"create namespace {self.namespace}")
        self.apply(self.crd())
        self(f"wait --for=condition=Established crd/gadgets.{self.group} --timeout=20s")
        # kubectl remembers for minutes what there is; it finds the new kind by asking again.
        self.until(lambda: self.run(f"get gadgets.{self.group}").returncode == 0, "the kind being served")

    def teardown(self):
        self(f"delete crd gadgets.{self.group} --ignore-not-found --wait=false", expect=None)
        self(f"delete namespace {self.namespace} --ignore-not-found --wait=false", expect=None)


def has(text, *parts):
    for part in parts:
        assert part in text, f"{part!r} is not in:\n{text}"


def lacks(text, *parts):
    for part in parts:
        assert part not in text, f"{part!r} is in:\n{text}"
