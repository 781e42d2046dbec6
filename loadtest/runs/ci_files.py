"""Report files for CI whose names the user gives: which files a run may write, and how it writes them.

A name may be a mistake: that of the locustfile, of a device, or of GitHub's file for the step summary. So a
report replaces a file only if that is new, empty, or a report itself. Other files are refused before the run,
and not written after it.
"""

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from loadtest import regular_files
from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.report.junit_document import PACKAGE
from loadtest.report.markdown import MARKER
from loadtest.results.directory import writing

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
STEP_OUTPUT = "GITHUB_OUTPUT"
"""Variables in which GitHub Actions names files of a step."""

SUMMARY_HEAD = re.compile(re.escape(MARKER.encode()))
JUNIT_HEAD = re.compile(rb"<\?xml [^>]*>\s*<testsuites>\s*<testsuite name=\"%b[.\"]" % PACKAGE.encode())
"""How the reports begin."""

_HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class CiFile:
    """A file that a report is written to.

    Args:
        option: the option that names it.
        path: the file.
        head: the beginning of such a report.
    """

    option: str
    path: Path
    head: re.Pattern[bytes]

    @property
    def place(self) -> Path:
        """The file without links in its folder's path, which may have some, such as /tmp on macOS."""
        return self.path.parent.resolve() / self.path.name

    def check(self) -> None:
        """Check that the file can be written, create its folder, and remove the report of an earlier run.

        Raises:
            InvalidSetting: it cannot be written.
        """
        self._check_kind()
        self._check_not_of_step()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path.parent):
                pass
            self._check_content()
            self.path.unlink(missing_ok=True)
        except OSError as error:
            problem = f"must be a file that can be written ({error.strerror}: {self.path})"
            raise InvalidSetting(self.option, NOT_SHOWN, problem) from error

    def _check_kind(self) -> None:
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            self._refuse("must be a file, not a folder, a link, a device or a pipe")

    def _check_not_of_step(self) -> None:
        for variable in (STEP_SUMMARY, STEP_OUTPUT):
            given = os.environ.get(variable)
            if given and Path(given).resolve() == self.place:
                self._refuse(f"must not be the file in {variable}. Use --ws-github, which appends to it")

    def _check_content(self) -> None:
        """Refuse to replace a file that is not a report of the tool."""
        if not self.path.exists():
            return
        with regular_files.open_regular(self.path) as file:
            head = file.read(_HEAD_BYTES)
        if head and not self.head.match(head):
            self._refuse("must be a new file or a report of loadtest; this one has other content")

    def _refuse(self, problem: str) -> None:
        raise InvalidSetting(self.option, str(self.path), problem)

    def write(self, data: bytes) -> None:
        """Write the report.

        Raises:
            ResultsUnwritable: it cannot be written.
        """
        with writing(self.path, advice=f"Choose another file ({self.option})"):
            regular_files.check_replaceable(self.place)
            regular_files.replace(self.place, data)
