"""Runs the steps of a workflow or of a composite action, as GitHub's runner would.

Scripts run under bash with the runner's flags, variables and files. A `uses:` step is carried out by a
stand-in: its inputs are evaluated, and a function for the action's name gets them. Expressions are read by a
small parser of what our files use; anything else is an error.

https://docs.github.com/en/actions/reference/workflows-and-actions
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
"""How the runner starts a script of `shell: bash`."""

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|==|!=|&&|\|\||!|\(|\)|[A-Za-z_][\w.-]*)")

StandIn = Callable[[Mapping[str, str]], Mapping[str, str]]
"""Carries out an action: inputs in, outputs out."""


@dataclass
class Job:
    """Runs steps one after the other; a step that fails leaves only those that run `always()`.

    Args:
        workspace: the directory of the scripts.
        files: folder for the runner's own files.
        contexts: values of expressions, by their whole names: `github.event_name`.
        environment: variables of all scripts.
        actions: stand-ins, by an action's name without its version.

    Attributes:
        failed: whether a step has failed.
        output: what the scripts have printed.
        summary: the job's summary, of all steps.
        steps_run: names of the steps that ran.
    """

    workspace: Path
    files: Path
    contexts: dict[str, str]
    environment: Mapping[str, str]
    actions: Mapping[str, StandIn]
    failed: bool = False
    output: str = ""
    summary: str = ""
    steps_run: list[str] = field(default_factory=list)

    def run(self, steps: list[dict[str, Any]], environment: Mapping[str, str] | None = None) -> None:
        """Run the steps.

        Args:
            steps: as in the YAML.
            environment: variables of the workflow and the job, whose values may hold expressions.
        """
        for step in steps:
            condition = str(step.get("if", "success()"))
            if not re.search(r"\b(always|success|failure|cancelled)\(\)", condition):
                condition = f"success() && ({condition})"
            if not self.value(condition):
                continue
            self.steps_run.append(step.get("name", step.get("uses", "")))
            variables = {
                name: self.text(str(value))
                for name, value in {**(environment or {}), **step.get("env", {})}.items()
            }
            self.contexts |= {f"env.{name}": value for name, value in variables.items()}
            outputs = self._script(step, variables) if "run" in step else self._action(step)
            if "id" in step:
                self.contexts |= {f"steps.{step['id']}.outputs.{name}": one for name, one in outputs.items()}

    def _action(self, step: dict[str, Any]) -> Mapping[str, str]:
        inputs = {name: self.text(str(value)) for name, value in step.get("with", {}).items()}
        return self.actions[step["uses"].partition("@")[0]](inputs)

    def _script(self, step: dict[str, Any], variables: Mapping[str, str]) -> Mapping[str, str]:
        assert "${{" not in step["run"], "an expression in a script may become a command"
        number = len(self.steps_run)
        script, output, summary = (self.files / f"{number}.{kind}" for kind in ("sh", "output", "summary"))
        script.write_text(step["run"])
        output.touch()
        summary.touch()
        done = subprocess.run(
            [*SHELL, str(script)],
            cwd=self.workspace,
            env={
                **self.environment,
                **variables,
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(summary),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
            check=False,
        )
        self.failed = self.failed or done.returncode != 0
        self.output += done.stdout
        self.summary += summary.read_text()
        return outputs_of(output.read_text())

    def text(self, template: str) -> str:
        """Return a text with the values of its expressions."""
        return _EXPRESSION.sub(lambda found: self.value(found[1]), template)

    def value(self, expression: str) -> str:
        """Return an expression's value as text; empty is false."""
        tokens = _tokens(expression)
        value = self._either(tokens)
        assert not tokens, f"what is {tokens} in {expression}?"
        return value

    def _either(self, tokens: list[str]) -> str:
        value = self._both(tokens)
        while tokens[:1] == ["||"]:
            del tokens[0]
            other = self._both(tokens)
            value = value or other
        return value

    def _both(self, tokens: list[str]) -> str:
        value = self._compared(tokens)
        while tokens[:1] == ["&&"]:
            del tokens[0]
            other = self._compared(tokens)
            value = value and other
        return value

    def _compared(self, tokens: list[str]) -> str:
        value = self._single(tokens)
        if tokens[:1] in (["=="], ["!="]):
            wanted = tokens.pop(0) == "=="
            value = "true" if (value == self._single(tokens)) is wanted else ""
        return value

    def _single(self, tokens: list[str]) -> str:
        token = tokens.pop(0)
        if token == "!":
            return "" if self._single(tokens) else "true"
        if token == "(":
            value = self._either(tokens)
            assert tokens.pop(0) == ")"
            return value
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if tokens[:2] == ["(", ")"]:
            del tokens[:2]
            return {"always": "true", "success": "" if self.failed else "true"}[token]
        if token.startswith("steps.") and ".outputs." in token:
            return self.contexts.get(token, "")  # of a step that did not run
        return self.contexts[token]


def _tokens(expression: str) -> list[str]:
    found, at = [], 0
    while expression[at:].strip():
        token = _TOKEN.match(expression, at)
        assert token is not None, f"what is {expression[at:]!r}?"
        found.append(token[1])
        at = token.end()
    return found


def outputs_of(text: str) -> dict[str, str]:
    """Return the outputs that a step has written to its file, as the runner reads them."""
    outputs, lines = {}, text.splitlines()
    while lines:
        line = lines.pop(0)
        name, heredoc, end = line.partition("<<")
        if heredoc and "=" not in name:
            at = lines.index(end)
            outputs[name] = "\n".join(lines[:at])
            del lines[: at + 1]
        elif line:
            name, equals, value = line.partition("=")
            assert equals, line
            outputs[name] = value
    return outputs
