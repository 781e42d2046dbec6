"""Every step of action.yml, of the example workflow and of the GitLab job, run as a CI service runs them.

Each for a run that passes, one that fails and one that is inconclusive: what people look at must be there in
all three.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from loadtest.options import SETTINGS
from loadtest.server.server_process import ServerProcess
from tests.support.github_steps import SHELL, Job
from tests.support.locusts import BRISK
from tests.support.places import ROOT
from tests.support.replayed_locust import parsed
from tests.support.terminals import PROGRESS, TABLES

WORKFLOW = yaml.safe_load((ROOT / "docs" / "ci" / "github-workflow.yml").read_text())
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
GITLAB = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab-ci.yml").read_text())

MARKER = "<!-- loadtest: summary -->"
BIN = Path(sys.executable).parent

EXIT_CODES = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 4}
SHORT = {
    "PASS": (*BRISK, "-u", "2", "-t", "10s"),
    "FAIL": (*BRISK, "-u", "2", "-t", "5s", "--ws-reply-timeout", "1"),
    "INCONCLUSIVE": (
        *("-u", "1", "-r", "1", "-t", "2s", "--ws-sessions", "1", "--ws-warmup", "0", "--processes", "2"),
    ),
}
"""Options that make the runs of the examples short, by the verdict; one has a master and workers."""


def write_program(folder: Path, name: str, script: str) -> None:
    """Write a program for the scripts to find first."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/bash\n{script}\n")
    file.chmod(0o755)


def place(folder: Path, locust: str, *, url: str = "ws://127.0.0.1:9", **variables: str) -> Job:
    """Return a job in a checkout, with a `locust` of this script; nothing is installed."""
    workspace, programs, files = folder / "work", folder / "bin", folder / "runner"
    workspace.mkdir(parents=True)
    files.mkdir()
    (workspace / "locustfiles").symlink_to(ROOT / "locustfiles")
    write_program(programs, "locust", locust)
    write_program(programs, "pip", f'echo "$@" >> {folder}/pip')
    write_program(
        programs,
        "python",
        f'if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin"; cp {programs}/locust {programs}/pip "$3/bin"; '
        f'else exec {sys.executable} "$@"; fi',
    )
    write_program(
        programs, "gh", f'printf "%s\\n" "$*" >> {folder}/gh; cat {folder}/comments 2>/dev/null || true'
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LOCUST_", "GITHUB_"))},
        "PATH": f"{programs}:{BIN}:{os.environ['PATH']}",
        "CI": "true",
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_REPOSITORY": "our/server",
        "GITHUB_SHA": "c0ffee",
        "RUNNER_TEMP": str(files),
        **variables,
    }
    contexts = {
        "github.event_name": "pull_request",
        "github.event.number": "7",
        "github.event.pull_request.head.repo.full_name": "our/server",
        "github.event.repository.default_branch": "main",
        "github.ref": "refs/heads/main",
        "github.ref_name": "main",
        "github.repository": "our/server",
        "github.run_attempt": "1",
        "github.run_id": "1234",
        "github.token": "t0ken",
        "runner.os": "Linux",
        "secrets.STAGING_TOKEN": "",
        "vars.STAGING_URL": url,
    }
    cache = folder / "cache"

    def keep(inputs: Mapping[str, str]) -> Mapping[str, str]:
        for path in inputs["path"].splitlines():
            source, target = workspace / path.strip(), folder / "artefact" / path.strip()
            if path.strip() and source.is_dir():
                shutil.copytree(source, target)
            elif path.strip() and source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        return {}

    def save(inputs: Mapping[str, str]) -> Mapping[str, str]:
        if (workspace / inputs["path"]).exists():  # else the action only warns
            shutil.copytree(workspace / inputs["path"], cache)
        return {}

    def restore(inputs: Mapping[str, str]) -> Mapping[str, str]:
        assert inputs["key"].startswith(inputs["restore-keys"].strip())
        return {}

    def nothing(_inputs: Mapping[str, str]) -> Mapping[str, str]:
        return {}

    actions = {
        "actions/checkout": nothing,
        "actions/setup-python": nothing,
        "actions/cache/restore": restore,
        "actions/cache/save": save,
        "actions/upload-artifact": keep,
    }
    return Job(workspace, files, contexts, environment, actions)


def steps_of(job: str) -> list[dict[str, Any]]:
    """Return the steps of a job of the example workflow."""
    return list(WORKFLOW["jobs"][job]["steps"])


@dataclass(frozen=True)
class Made:
    """A job that has run the example step by step, with real Locust."""

    verdict: str
    folder: Path
    job: Job

    @property
    def run(self) -> Path:
        """The run directory."""
        return self.job.workspace / self.job.contexts["steps.load.outputs.run"]


def make(folder: Path, verdict: str, url: str) -> Made:
    """Run the example workflow step by step."""
    locust = shlex.join([sys.executable, "-m", "locust"]) + f' "$@" {shlex.join(SHORT[verdict])}'
    job = place(folder, f"exec {locust}", url=url)
    job.run(steps_of("step-by-step"), WORKFLOW["env"])
    return Made(verdict, folder, job)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Made]]:
    """The example workflow after a run of each verdict; the runs are made at the same time."""
    with (
        ServerProcess() as sound,
        ServerProcess(faults=("lose_reply=0.3",)) as faulty,
        ThreadPoolExecutor() as pool,
    ):
        urls = {"PASS": sound.url, "FAIL": faulty.url, "INCONCLUSIVE": sound.url}
        begun = {
            verdict: pool.submit(make, tmp_path_factory.mktemp("job") / verdict, verdict, url)
            for verdict, url in urls.items()
        }
        yield {verdict: one.result() for verdict, one in begun.items()}


@pytest.fixture(params=list(EXIT_CODES))
def each(request: pytest.FixtureRequest, made: dict[str, Made]) -> Made:
    """Each of them."""
    return made[request.param]


def replaying(of: Made, folder: Path, **variables: str) -> Job:
    """Return a job whose Locust makes a run that was made before."""
    script = f'exec {sys.executable} -m tests.support.replayed_locust "$@"'
    return place(folder, script, REPLAYED_RUN=str(of.run), PYTHONPATH=str(ROOT), **variables)


def shown(output: str) -> list[tuple[str, str, str]]:
    """Return the annotations in what a job has printed: kind, title, message."""
    return re.findall(r"^::(error|warning|notice) title=(.*?)::(.*)$", output, re.MULTILINE)


def check_told(job: Job, verdict: str) -> None:
    """Check that the job's page says what was found."""
    kinds = {kind for kind, _, _ in shown(job.output)}
    assert {"PASS": "notice", "FAIL": "error", "INCONCLUSIVE": "warning"}[verdict] in kinds
    assert job.summary.startswith(f"{MARKER}\n## ")
    assert f"{verdict} `" in job.summary.splitlines()[1]
    assert len(job.summary.splitlines()) < 60
    assert job.summary.count(MARKER) == 1  # by the master, and not by workers


def test_each_step_does_its_work_whatever_the_verdict(each: Made) -> None:
    """Summary, annotations, artefact, baseline and comment, of runs that pass, fail and cannot be judged."""
    check_told(each.job, each.verdict)
    assert each.job.failed is (each.verdict != "PASS"), each.job.output
    assert each.job.steps_run == [step.get("name", step.get("uses")) for step in steps_of("step-by-step")], (
        "the steps after a failure run too"
    )
    kept = each.folder / "artefact"
    assert (kept / "summary.md").read_text() == each.job.summary
    (suite,) = ElementTree.parse(kept / "junit.xml").getroot()
    (verdict,) = suite.findall("properties/property[@name='verdict']")
    assert verdict.get("value") == each.verdict
    run = kept / each.job.contexts["steps.load.outputs.run"]
    assert json.loads((run / "verdict.json").read_bytes())["verdict"] == each.verdict
    assert (kept / each.job.contexts["steps.load.outputs.report"]).read_text().startswith("<!DOCTYPE html>")
    assert list((each.folder / "cache").glob("*/*/run.json"))
    assert (
        "-X POST repos/our/server/issues/7/comments -F body=@summary.md" in (each.folder / "gh").read_text()
    )


def test_a_pipe_gets_few_lines(made: dict[str, Made]) -> None:
    """Progress and the verdict, without Locust's tables."""
    shown = made["PASS"].job.output
    assert PROGRESS.search(shown), shown
    assert not any(words in shown for words in TABLES)


def test_the_comment_is_updated(made: dict[str, Made], tmp_path: Path) -> None:
    """Found by its marker: the first one, if there are several."""
    job = place(tmp_path, "exit 9")
    (tmp_path / "comments").write_text("41\n42\n")
    (job.workspace / "summary.md").write_text(made["PASS"].job.summary)
    job.run([step for step in steps_of("step-by-step") if "gh api" in step.get("run", "")])
    assert not job.failed, job.output
    asked = (tmp_path / "gh").read_text()
    assert f'startswith("{MARKER}")' in asked
    assert asked.splitlines()[-1] == "api -X PATCH repos/our/server/issues/comments/41 -F body=@summary.md"


def test_the_action_does_its_work_whatever_the_verdict(each: Made, tmp_path: Path) -> None:
    """As above, in the job that uses it: outputs, artefact and cache; the exit code is the one asked for."""
    job = replaying(each, tmp_path)
    job.contexts["github.event_name"] = "push"
    outputs: dict[str, str] = {}

    def action(inputs: Mapping[str, str]) -> Mapping[str, str]:
        outputs.update(run_action(job, inputs))
        return outputs

    job.actions = {**job.actions, "your-org/loadtest": action}
    job.run(steps_of("with-the-action"), WORKFLOW["env"])
    check_told(job, each.verdict)
    assert job.failed is (each.verdict != "PASS"), job.output
    assert outputs["verdict"] == each.verdict
    assert f"The verdict is {each.verdict}." in job.output
    assert (tmp_path / "artefact" / outputs["run"] / "events.jsonl").is_file()
    assert (tmp_path / "artefact" / outputs["report"]).is_file()
    assert list((tmp_path / "cache").glob("*/*/run.json"))
    assert str(ROOT) in (tmp_path / "pip").read_text()


def run_action(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """Run the composite action; return its outputs."""
    unknown = set(given) - set(ACTION["inputs"])
    assert not unknown
    for name, described in ACTION["inputs"].items():
        job.contexts[f"inputs.{name}"] = given.get(name, job.text(str(described.get("default", ""))))
    job.run(ACTION["runs"]["steps"])
    return {name: job.text(output["value"]) for name, output in ACTION["outputs"].items()}


def test_an_inconclusive_run_may_pass_the_job(made: dict[str, Made], tmp_path: Path) -> None:
    """The verdict stays what it is; on a branch nothing is kept for later runs."""
    job = replaying(made["INCONCLUSIVE"], tmp_path)
    job.contexts["github.ref_name"] = "7/merge"
    outputs = run_action(job, {"inconclusive-exit": "0", "host": "wss://staging.example.org"})
    assert not job.failed, job.output
    assert outputs["verdict"] == "INCONCLUSIVE"
    assert not (tmp_path / "cache").exists()


def test_locust_that_cannot_start_is_told(tmp_path: Path) -> None:
    """A locustfile that cannot be imported: exit code 1 without a verdict, which nobody may take for FAIL."""
    job = place(tmp_path, "echo 'ImportError: no module named chat' >&2; exit 1")
    outputs = run_action(job, {})
    assert job.failed
    assert outputs["verdict"] == ""
    assert shown(job.output) == [
        ("error", "loadtest", "Locust could not start (exit code 1). The log of this step says why.")
    ]
    assert "Exit code 1." in job.summary


def test_a_usage_error_is_told_before_a_run(tmp_path: Path) -> None:
    """By Locust itself: annotation, summary and test report have the error, and there is no FAIL."""
    job = place(tmp_path, f'exec {sys.executable} -m locust "$@" --ws-rate -1')
    job.run([{**step, "name": "load"} for step in steps_of("step-by-step") if step.get("id") == "load"])
    problem = "--ws-rate must be 0 or 0.000001–10000 messages per second per session (got '-1')"
    assert job.failed
    assert shown(job.output) == [("error", "loadtest%3A nothing was judged", problem)]
    assert job.contexts["steps.load.outputs.verdict"] == "NOT_JUDGED"
    assert "Nothing was judged" in job.summary
    assert problem in (job.workspace / "summary.md").read_text()
    (suite,) = ElementTree.parse(job.workspace / "junit.xml").getroot()
    assert suite.get("errors") == "1"


def test_inputs_are_no_commands(tmp_path: Path) -> None:
    """What a caller gives, a branch's name say, reaches Locust as it is; quotes hold words together."""
    job = place(tmp_path, f'printf "%s\\0" "$@" > {tmp_path}/arguments')
    evil = "$(touch pwned) `touch pwned`; touch pwned #\"' *"
    given = dict.fromkeys(("host", "locustfile", "revision", "users", "run-time", "results"), evil)
    run_action(
        job,
        {**given, "arguments": "--ws-at '60:deploy $(touch pwned)' --ws-rate 2", "baseline-cache": "false"},
    )
    words = (tmp_path / "arguments").read_text().split("\0")
    assert words.count(evil) == len(given)
    assert words[-5:] == ["--ws-at", "60:deploy $(touch pwned)", "--ws-rate", "2", ""]
    assert not (job.workspace / "pwned").exists()


def test_runs_of_over_a_month_are_forgotten(tmp_path: Path) -> None:
    """Pinned ones are not."""
    job = place(tmp_path, "exit 1")
    old = [job.workspace / "results" / name for name in ("v1/20260101T000000Z-a", "baselines/v1")]
    new = job.workspace / "results" / "v2" / "20261101T000000Z-b"
    for path in (*old, new):
        path.mkdir(parents=True)
    for path in old:
        os.utime(path, (0, 0))
    run_action(job, {})
    assert [path.exists() for path in (*old, new)] == [False, True, True]


def test_gitlab_does_its_work_whatever_the_verdict(each: Made, tmp_path: Path) -> None:
    """Artefacts and the test report are there; a job that cannot judge is a warning, by its exit code."""
    job = replaying(each, tmp_path, URL="wss://staging.example.org", CI_COMMIT_SHA="c0ffee")
    load = GITLAB["loadtest"]
    codes = [
        subprocess.run(
            [*SHELL, "-c", "\n".join(load[part])],
            cwd=job.workspace,
            env={**job.environment},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        for part in ("before_script", "script", "after_script")
    ]
    assert [done.returncode for done in codes] == [0, EXIT_CODES[each.verdict], 0], codes
    assert codes[-1].stdout.startswith(MARKER)
    assert load["allow_failure"]["exit_codes"] == [EXIT_CODES["INCONCLUSIVE"]]
    assert (load["artifacts"]["when"], load["cache"]["when"]) == ("always", "always")
    paths = [path.replace("$CI_COMMIT_SHA", "c0ffee") for path in load["artifacts"]["paths"]]
    assert all((job.workspace / path).exists() for path in (*paths, load["artifacts"]["reports"]["junit"]))


def test_the_page_on_ci_names_what_there_is() -> None:
    """Its YAML can be read; inputs of the action and options of Locust in it exist."""
    page = (ROOT / "docs" / "ci.md").read_text()
    documents = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    action, rollout, web, flagger = documents
    assert set(action[0]["with"]) <= set(ACTION["inputs"])
    (container,) = rollout["spec"]["metrics"][0]["provider"]["job"]["spec"]["template"]["spec"]["containers"]
    (hook,) = flagger["analysis"]["webhooks"]
    lines = [" ".join(line.split()) for line in re.findall(r"^locust .*$", page, re.MULTILINE)]
    for words in (
        [*container["command"], *container["args"]],
        hook["metadata"]["cmd"].split(),
        *map(shlex.split, lines),
    ):
        assert words[0] == "locust"
        parsed(words[1:])
    assert {"successCondition", "failureCondition"} <= set(web["metrics"][0])
    named = set(re.findall(r"`(--ws-[a-z-]+)", page))
    assert named <= {row.option for row in SETTINGS.values()}


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("github-actions", "action.yml"),
        ("github-workflows", "docs/ci/github-workflow.yml"),
        ("gitlab-ci", "docs/ci/gitlab-ci.yml"),
    ],
)
def test_the_files_are_valid(schema: str, file: str) -> None:
    """By the schemas that editors use."""
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        f"vendor.{schema}",
        str(ROOT / file),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
