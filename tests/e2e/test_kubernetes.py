"""The example for Kubernetes: valid by its schema, its parts fit together, and its master and workers run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import jsonschema
import pytest
import yaml

from loadtest.server.server_process import ServerProcess
from tests.support.dockerfile import stages
from tests.support.locusts import Finished
from tests.support.places import ROOT
from tests.support.ports import free_port
from tests.support.serverclient import counters

FOLDER = ROOT / "docs" / "kubernetes"
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
SCHEMAS = json.loads((ROOT / "tests" / "data" / "kubernetes" / "v1.31.json").read_text())

TOKEN = "s3cr3t-of-the-cluster"

Object = dict[str, Any]

OBJECTS: dict[tuple[str, str], Object] = {
    (found["kind"], found["metadata"]["name"]): found
    for path in sorted(FOLDER.glob("*.yaml"))
    for found in yaml.safe_load_all(path.read_text())
}


def pod(kind: str, name: str) -> Object:
    """Return the specification of an object's pod."""
    spec: Object = OBJECTS[kind, name]["spec"]
    return dict(spec["template"]["spec"]) if kind == "Job" else spec


MASTER, WORKERS = pod("Job", "loadtest-master"), pod("Job", "loadtest-workers")
PODS = [MASTER, WORKERS, pod("Pod", "loadtest-results")]


def validate(found: Object) -> None:
    """Check an object against Kubernetes' schema of its kind, which knows no fields but those that exist."""
    schema = SCHEMAS["kinds"][found["kind"]] | {"definitions": SCHEMAS["definitions"]}
    jsonschema.Draft7Validator(schema).validate(found)


@pytest.mark.parametrize("found", OBJECTS.values(), ids=lambda found: found["metadata"]["name"])
def test_each_object_is_valid(found: Object) -> None:
    """Every field exists, with a value of its type; a misspelt one is refused."""
    validate(found)
    with pytest.raises(jsonschema.ValidationError):
        validate(found | {"spce": {}})


def test_a_misspelt_field_of_a_container_is_refused() -> None:
    """The schemas reach down to the last level."""
    job = deepcopy(OBJECTS["Job", "loadtest-workers"])
    job["spec"]["template"]["spec"]["containers"][0]["resources"]["request"] = {"cpu": "1"}
    with pytest.raises(jsonschema.ValidationError, match="request"):
        validate(job)


def arguments(spec: Object) -> dict[str, str]:
    """Return a container's arguments by option."""
    (container,) = spec["containers"]
    assert "command" not in container  # the image's entry point is locust
    return dict(word.partition("=")[::2] for word in container["args"])


def test_the_parts_fit_together() -> None:
    """As many workers as the master expects, at its service's name and port, with the same locustfile."""
    master, workers = arguments(MASTER), arguments(WORKERS)
    job = OBJECTS["Job", "loadtest-workers"]["spec"]
    assert job["parallelism"] == job["completions"] == int(master["--expect-workers"])
    service = OBJECTS["Service", workers["--master-host"]]["spec"]
    labels = OBJECTS["Job", "loadtest-master"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    (port,) = service["ports"]
    assert (port["port"], port["targetPort"]) == (5557, "workers")
    assert MASTER["containers"][0]["ports"] == [{"name": "workers", "containerPort": 5557}]
    assert OBJECTS["Job", "loadtest-master"]["spec"]["backoffLimit"] == 0, "a verdict must not be tried again"
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {spec["containers"][0]["image"] for spec in PODS}
    assert images == {f"registry.example.org/loadtest:{version}"}
    assert master["--locustfile"] == workers["--locustfile"]


@pytest.mark.parametrize("spec", PODS, ids=["master", "workers", "results"])
def test_pods_have_few_rights(spec: Object) -> None:
    """They run as the image's user, keep no rights, write to volumes only, and have what they mount."""
    (user,) = stages((ROOT / "Dockerfile").read_text())[-1].all("USER")
    security, (container,) = spec["securityContext"], spec["containers"]
    assert security["runAsNonRoot"]
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == user
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"].keys() == {"requests", "limits"}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    for volume in volumes.values():
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in OBJECTS
        if "persistentVolumeClaim" in volume:
            assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in OBJECTS


def test_no_secret_stands_in_a_file() -> None:
    """The token comes from a secret that the page's own command makes, and goes to the master alone."""
    assert not any(kind == "Secret" for kind, _ in OBJECTS)
    (token,) = MASTER["containers"][0]["env"]
    assert token["name"] == "LOCUST_WS_TOKEN"
    secret = token["valueFrom"]["secretKeyRef"]
    assert f"kubectl create secret generic {secret['name']} --from-file={secret['key']}=" in PAGE
    assert "env" not in WORKERS["containers"][0]


def test_the_page() -> None:
    """It is short, and the files and objects that its commands name exist."""
    assert len(PAGE.split()) <= 700
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
    named = set(re.findall(r"\b(\w+\.yaml)\b", commands))
    assert named == {path.name for path in FOLDER.glob("*.yaml")}
    for kind, name in re.findall(r"\b(job|pod)/([\w-]+)", commands):
        assert (kind.title(), name) in OBJECTS


@dataclass(frozen=True, slots=True)
class Ran:
    """A run of the example, with the exit codes of its workers and the server's counters."""

    finished: Finished
    workers: list[int]
    books: dict[str, Any]


def start(spec: Object, here: dict[str, str], *more: str, token: str | None = None) -> subprocess.Popen[str]:
    """Start a container's command as a process, with other values for some of its options."""
    given = arguments(spec)
    given |= {name: value for name, value in here.items() if name in given}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST")}
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "locust"),
            *(f"{name}={value}" if value else name for name, value in given.items()),
            *more,
        ],
        cwd=ROOT,
        env=environment | ({"LOCUST_WS_TOKEN": token} if token else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The master and two workers with their own arguments, except for places, sizes and times."""
    folder, port = tmp_path_factory.mktemp("kubernetes"), free_port()
    (folder / "locustfile.py").write_text(
        OBJECTS["ConfigMap", "loadtest-locustfile"]["data"]["locustfile.py"]
    )
    with ServerProcess(token=TOKEN) as server, ExitStack() as stack:
        here = {
            "--locustfile": str(folder / "locustfile.py"),
            "--expect-workers": "2",
            "--users": "2",
            "--run-time": "6s",
            "--host": server.url.replace("http", "ws"),
            "--ws-results": str(folder / "results"),
            "--master-host": "127.0.0.1",
        }
        processes = [
            start(MASTER, here, f"--master-bind-port={port}", "--ws-sessions=10", "--ws-rate=5", token=TOKEN),
            *(start(WORKERS, here, f"--master-port={port}") for _ in range(2)),
        ]
        for process in processes:
            stack.callback(process.kill)
        outputs = [process.communicate(timeout=90)[0] for process in processes]
        books = counters(server.url)
    code, *codes = (process.returncode for process in processes)
    return Ran(Finished(code, outputs[0], folder / "results"), codes, books)


def test_master_and_workers_run_as_they_stand(ran: Ran) -> None:
    """Both workers' sessions log in with the master's token, and the master's exit code is the verdict's."""
    assert (
        ran.finished.exit_code == {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 4}[ran.finished.verdict["verdict"]]
    )
    assert ran.finished.rulings["connect"] == "PASS", ran.finished.output
    assert ran.finished.rulings["messaging"] == "PASS", ran.finished.output
    assert ran.finished.counts["connect.established"] == 20
    assert [share["worker"] for share in ran.finished.manifest["workers"]] == [0, 1]
    assert ran.finished.manifest["revision"] == "v42"
    assert ran.books["logins_refused"] == 0
    assert ran.books["sessions_created"] == 20


def test_workers_end_with_the_master(ran: Ran) -> None:
    """Their Job is then complete."""
    assert ran.workers == [0, 0]
