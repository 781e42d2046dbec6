"""A gauge among the server's metrics, in Prometheus' text format. Reading it blocks, so never on the loop.

The endpoint is not trusted, so the answer is limited in size and time, whatever its headers claim. Only a
limited number of lines of the gauge are parsed; the rest of the page may have any content. Redirects are not
followed.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import difflib
import http.client
import math
import re
import ssl
from dataclasses import dataclass
from itertools import islice
from typing import Final
from urllib.parse import urlsplit

from loadtest.errors import NOT_SHOWN, GaugeUnreadable, InvalidSetting
from loadtest.text import one_line, public_url
from loadtest.transport.bounded_http import bounded_connection
from loadtest.transport.target import Tls

OPTION: Final = "--ws-server-metrics"

SIZE_LIMIT: Final = 2**23
"""Bytes of an answer, head included. Large exporters have a few MB."""

TIME_LIMIT_S: Final = 5.0
"""For one answer, from connecting to its last byte. Prometheus itself allows 10 s by default."""

MAX_SAMPLES: Final = 10_000
SAMPLES_SIZE_LIMIT: Final = 2**20
"""Samples of the gauge, and their characters: far more than a sound one has. Parsing them blocks the process
for less than a second.
"""

SIMILAR: Final = 5
NAMES_LIMIT: Final = 1_000
"""Names of other gauges that an error lists, and of how many."""

_UNQUOTED: Final = re.compile(r"[{,]\s*\w+\s*=\s*[^\s\"]")
_GAUGE_TYPE: Final = re.compile(r"^# TYPE (\S{1,200}) (?:gauge|unknown|untyped)\s*$", re.MULTILINE)

_FORM: Final = "must be URL#NAME, for example http://127.0.0.1:9000/metrics#ws_connections"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsGauge:
    """A gauge on a metrics page.

    Args:
        url: URL of the metrics page, without fragment.
        name: name of the gauge.
        labels: labels that a sample must have; it may have others.
        tls: the TLS context for https, None for http.
    """

    url: str
    name: str
    labels: dict[str, str]
    tls: ssl.SSLContext | None = None

    @classmethod
    def parse(cls, given: str, tls: Tls) -> "MetricsGauge":
        """Read `URL#NAME` or `URL#NAME{label="value"}`.

        Raises:
            InvalidSetting: URL or name is malformed, the URL has credentials, or a TLS setting is invalid.
        """
        url, mark, selector = given.partition("#")
        shown = f"{public_url(url)}{mark}{selector}"
        try:
            parts = urlsplit(url)
            valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            valid = False
        if not valid or not url.isascii() or not url.isprintable() or " " in url:
            raise InvalidSetting(OPTION, shown, _FORM)
        if parts.username or parts.password:
            raise InvalidSetting(OPTION, NOT_SHOWN, "must not contain credentials")
        samples = _samples(f"{selector} 0") if "\n" not in selector else []
        if not samples and _UNQUOTED.search(selector):
            raise InvalidSetting(
                OPTION, shown, 'must have each label\'s value in quotes: NAME{label="value"}'
            )
        if len(samples) != 1 or "#" in selector:
            raise InvalidSetting(OPTION, shown, _FORM)
        ((name, labels, _),) = samples
        return cls(url=url, name=name, labels=labels, tls=tls.context() if parts.scheme == "https" else None)

    def __str__(self) -> str:
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        return f"{public_url(self.url)}#{self.name}{f'{{{labels}}}' if labels else ''}"

    def read(self) -> float:
        """Return the sum of all samples of the gauge that have the labels.

        Raises:
            GaugeUnreadable: no valid answer came in time, or it has no such sample.
        """
        page = self._page()
        values = [
            value
            for line in self._lines(page)
            for name, labels, value in _samples(line)
            if name == self.name and self.labels.items() <= labels.items()
        ]
        if not values:
            raise GaugeUnreadable(f"{self} has no sample{self._similar(page)}")
        total = sum(values)
        if not math.isfinite(total):
            raise GaugeUnreadable(f"the value of {self} is not a finite number")
        return total

    def _lines(self, page: str) -> list[str]:
        """Return the lines of the gauge, without those of gauges whose names only begin with its name."""
        own = re.finditer(rf"^{re.escape(self.name)}[ \t{{][^\n]*", page, re.MULTILINE)
        lines = [line[0] for line in islice(own, MAX_SAMPLES + 1)]
        if len(lines) > MAX_SAMPLES or sum(map(len, lines)) > SAMPLES_SIZE_LIMIT:
            most = f"{MAX_SAMPLES:,} samples or {SAMPLES_SIZE_LIMIT // 2**20} MB of them"
            raise GaugeUnreadable(f"{self} has more than {most}")
        return lines

    def _similar(self, page: str) -> str:
        """Return the most similar names of gauges on the page, for the end of an error."""
        if self.labels and self._lines(page):
            return " with these labels"
        names = dict.fromkeys(found[1] for found in islice(_GAUGE_TYPE.finditer(page), NAMES_LIMIT))
        similar = difflib.get_close_matches(self.name, names, n=SIMILAR, cutoff=0.4)
        return f". Gauges with similar names: {one_line(', '.join(similar))}" if similar else ""

    def _page(self) -> str:
        parts = urlsplit(self.url)
        assert parts.hostname is not None  # checked by `parse`
        connection = bounded_connection(
            parts.hostname, parts.port, self.tls, time_limit_s=TIME_LIMIT_S, size_limit=SIZE_LIMIT
        )
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("GET", path, headers={"Accept": "text/plain", "Connection": "close"})
            with connection.getresponse() as answer:
                if answer.status != http.client.OK:
                    raise GaugeUnreadable(f"HTTP {answer.status} from {public_url(self.url)}")
                return answer.read().decode("utf-8", "replace")
        except ConnectionRefusedError as error:
            port = parts.port or connection.default_port
            raise GaugeUnreadable(f"connection refused by {parts.hostname}:{port}") from error
        except (OSError, UnicodeError, ValueError, http.client.HTTPException) as error:
            raise GaugeUnreadable(one_line(f"{type(error).__name__}: {error}")) from error
        finally:
            connection.close()


def _samples(line: str) -> list[tuple[str, dict[str, str], float]]:
    """Return the sample of a line as (name, labels, value); empty if it is malformed."""
    from prometheus_client.parser import text_string_to_metric_families  # slow, and few runs need it

    try:
        return [
            (sample.name, dict(sample.labels), float(sample.value))
            for family in text_string_to_metric_families(f"{line}\n")
            for sample in family.samples
        ]
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):  # the parser trusts its input
        return []
