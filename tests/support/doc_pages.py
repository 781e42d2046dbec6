"""The pages of docs/ and the README, with their links, anchors and shell commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.support.places import ROOT

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)

SHELL = ("sh", "bash", "console", "shell")
"""Languages of blocks whose lines are commands."""


@dataclass(frozen=True)
class Page:
    """A page of Markdown.

    Args:
        path: the file.
    """

    path: Path

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @property
    def words(self) -> int:
        """How many words it has. The bars of tables, their rules and comments are none."""
        shown = re.sub(r"<!--.*?-->", " ", self.text, flags=re.DOTALL)
        return len(re.findall(r"\S*\w\S*", shown))

    @cached_property
    def prose(self) -> str:
        """The page without its blocks of code."""
        return _FENCE.sub("", self.text)

    def blocks(self, *languages: str) -> list[str]:
        """Return the blocks of code in these languages."""
        return [code for _, language, code in _FENCE.findall(self.text) if language in languages]

    @property
    def commands(self) -> list[str]:
        """The lines of its shell blocks, joined where they go on in the next line."""
        lines = [
            line.strip()
            for block in self.blocks(*SHELL)
            for line in re.sub(r"\\\n|(?<=&&)\n", " ", block).splitlines()
        ]
        return [re.sub(r"\s+", " ", line) for line in lines if line and not line.startswith("#")]

    @property
    def links(self) -> list[str]:
        """The targets of its links to files of the repository, with their anchors."""
        code_is_no_link = re.sub(r"`[^`\n]*`", "`", self.prose)
        found = re.findall(r"\]\(([^()\s]+)\)", code_is_no_link)
        return [link for link in found if not re.match(r"[a-z]+:", link)]

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors of its headings, as GitHub makes them."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


DOCS = [Page(path) for path in sorted((ROOT / "docs").rglob("*.md"))]

README = Page(ROOT / "README.md")

ALL = [README, *(Page(ROOT / name) for name in ("CONTRIBUTING.md", "results/README.md")), *DOCS]
"""Every page that people read, but for the list of changes."""
