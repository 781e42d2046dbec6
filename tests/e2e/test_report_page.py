"""report.html in a browser: opened from its file, read with pointer and keys, on any screen and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from loadtest import text
from loadtest.report.judged_run import JudgedRun
from loadtest.report.timeline import timeline
from tests.support.browser import PHONE, axe, browser, open_page, picture, wider_than_window
from tests.support.page_runs import (
    SPIKE_MS,
    SPIKE_S,
    hostile,
    hour_with_a_spike,
    killed,
    sound_and_failing,
)

pytestmark = pytest.mark.external("chromium")

MAX_BYTES = 2_000_000
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, JudgedRun]:
    """A run of each kind that differs in what its page shows."""
    folder = tmp_path_factory.mktemp("pages")
    sound, failing = sound_and_failing(folder / "results")
    return {
        "sound": sound,
        "failing": failing,
        "killed": killed(folder / "killed"),
        "hostile": hostile(folder / "hostile"),
        "hour": hour_with_a_spike(folder / "hour"),
    }


KINDS = ("sound", "failing", "killed", "hostile", "hour")


def file_of(judged: JudgedRun) -> Path:
    """Return the page of a run."""
    return judged.path / "report.html"


def column(page: Page, chart: str, name: str) -> list[str]:
    """Return a column of the table behind a chart."""
    table = page.locator(f'[data-behind="{chart}"] table')
    names = [one.strip() for one in table.locator("thead th").all_text_contents()]
    rows = table.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return [row[names.index(name)] for row in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_opens_from_its_file(chromium: Browser, runs: dict[str, JudgedRun], kind: str) -> None:
    """No error, request or dialog; each chart drawn, with its read-out; the verdict on the first screen."""
    judged = runs[kind]
    assert file_of(judged).stat().st_size < MAX_BYTES
    with open_page(chromium, file_of(judged)) as page:
        assert page.title().startswith(judged.verdict.verdict.replace("_", " "))
        for shown in (".banner h1", ".headline", ".strip", ".figures >> nth=0"):
            box = page.locator(shown).bounding_box()
            assert box is not None
            assert box["y"] + box["height"] < 900 or kind == "hostile"
        plots = page.locator(".drawing").count()
        assert plots == page.locator(".reader").count() == page.locator("[data-behind]").count()
        assert (plots > 0) == (kind != "killed")
        assert page.locator(".drawing:not(:has(path:is(.line, .box, .hollow, .heat)))").count() == 0
        assert wider_than_window(page) == 0
        assert kind == "hour" or axe(page) == []  # the same elements, in the longest tables
        picture(page, f"{kind}-desktop")


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_on_a_phone_in_the_dark(chromium: Browser, runs: dict[str, JudgedRun], kind: str) -> None:
    """Nothing scrolls sideways but tables within their frames; colours keep their contrast."""
    with open_page(chromium, file_of(runs[kind]), size=PHONE, scheme="dark") as page:
        assert wider_than_window(page) == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 26)"
        assert kind == "hour" or axe(page) == []
        picture(page, f"{kind}-phone-dark")


def test_charts_show_what_the_run_recorded(chromium: Browser, runs: dict[str, JudgedRun]) -> None:
    """The table behind each chart adds up to the run's counts; lines and tables have as many points."""
    judged = runs["failing"]
    with open_page(chromium, file_of(judged)) as page:
        sent = [int(value) for value in column(page, "messages-over-time", "sent")]
        assert sum(sent) == judged.run.count("messaging.sent")
        lost = [int(value) for value in column(page, "failures-over-time", "messages lost")]
        assert sum(lost) == judged.run.count("messaging.lost") == 12
        drops = [int(value) for value in column(page, "drops-over-time", "reset")]
        assert sum(drops) == judged.run.count("drops.reset")
        errors = [int(value) for value in column(page, "log-errors-over-time", "ERROR")]
        assert sum(errors) == sum((judged.run.log_errors_per_s or {}).values()) > 0
        p99 = timeline(judged.run).percentiles_ms["service", 99.0]
        assert column(page, "latency-over-time", "p99") == [
            "" if ms is None else text.span(1000 * ms) for ms in p99
        ]
        kinds = column(page, "outages-server", "kind")
        assert sorted(kinds) == sorted(one.name for one in judged.run.outages if one.p50_us is not None)


def test_the_pointer_reads_a_chart(chromium: Browser, runs: dict[str, JudgedRun]) -> None:
    """The read-out is the table's row; the panels of the timeline are read together."""
    with open_page(chromium, file_of(runs["failing"])) as page:
        reader = page.locator("#latency-over-time .reader")
        box = reader.bounding_box()
        assert box is not None
        page.mouse.move(0, 0)
        reader.hover(position={"x": box["width"] * (30.5 / 60), "y": 50})
        assert page.locator("#latency-over-time .tip b").inner_text() == "00:30"
        for chart, name in (
            ("latency-over-time", "p99"),
            ("sessions-over-time", "out"),
            ("drops-over-time", "reset"),
        ):
            shown = page.locator(f'#{chart} .tip dt:text-is("{name}")')
            value = shown.locator("xpath=following-sibling::dd[1]").inner_text()
            assert value == column(page, chart, name)[30]
        assert page.locator("#percentiles .tip").count() == 0
        picture(page, "failing-hover")
        page.mouse.move(0, 0)
        assert page.locator(".tip").count() == 0


def test_the_keyboard_reads_a_chart(chromium: Browser, runs: dict[str, JudgedRun]) -> None:
    """Arrows, Home, End and Escape; a screen reader is told the same text."""
    with open_page(chromium, file_of(runs["failing"])) as page:
        reader = page.locator("#messages-over-time .reader")
        reader.focus()
        for key in ("End", "Home", "ArrowRight", "ArrowRight"):
            reader.press(key)
        sent, answered = (column(page, "messages-over-time", name)[2] for name in ("sent", "answered"))
        assert f"sent {sent}, answered {answered}" in (reader.get_attribute("aria-valuetext") or "")
        assert page.locator("#messages-over-time .tip b").inner_text() == "00:02"
        reader.press("Escape")
        assert page.locator(".tip").count() == 0
        heat = page.locator("#heat-map .reader")
        heat.focus()
        for key in ("Home", "ArrowUp", "ArrowRight"):
            heat.press(key)
        name = page.locator('[data-behind="heat-map"] thead th').nth(2).text_content() or ""
        count = column(page, "heat-map", name.strip())[1] or "0"
        assert heat.get_attribute("aria-valuetext") == f"00:01, {name.strip()} {count}"
        rows = page.locator("#outages-server .reader")
        rows.focus()
        rows.press("ArrowDown")
        assert (rows.get_attribute("aria-valuetext") or "").startswith(
            column(page, "outages-server", "kind")[1]
        )


def test_a_second_in_an_hour_is_seen(chromium: Browser, runs: dict[str, JudgedRun]) -> None:
    """The spike is a peak of the line, in its place, and its read-out says how high."""
    with open_page(chromium, file_of(runs["hour"])) as page:
        highest = column(page, "latency-over-time", "max")
        (place,) = (
            number for number, value in enumerate(highest) if value.endswith(" s") or float(value[:-3]) > 100
        )
        assert column(page, "latency-over-time", "time")[place] == text.clock(SPIKE_S - SPIKE_S % 6)
        points = page.evaluate(
            """() => {
                const line = document.querySelector("#latency-over-time .drawing path.line.quiet");
                const found = line.getAttribute("d").matchAll(/([\\d.]+) ([\\d.]+)/g);
                return [...found].map(([, x, y]) => [Number(x), Number(y)]);
            }"""
        )
        peak = min(points, key=lambda point: point[1])
        assert peak[0] == pytest.approx(1000 * (SPIKE_S + 0.5) / 3600, abs=2)
        assert peak[1] < 0.2 * max(y for _, y in points)
        reader = page.locator("#latency-over-time .reader")
        box = reader.bounding_box()
        assert box is not None
        reader.hover(position={"x": box["width"] * peak[0] / 1000, "y": 50})
        said = reader.get_attribute("aria-valuetext") or ""
        assert f"max {highest[place]}" in said
        assert float(highest[place].split()[0]) * (1000 if highest[place].endswith(" s") else 1) > SPIKE_MS


def test_hostile_texts_stay_text(chromium: Browser, runs: dict[str, JudgedRun]) -> None:
    """They can be read, also in read-outs, but make no element, no dialog and no hidden character."""
    judged = runs["hostile"]
    with open_page(chromium, file_of(judged)) as page:
        assert "<script>alert(1)</script>" in page.inner_text("body")
        assert page.locator("script:not([type])").count() == 1
        assert page.locator("b, img, iframe, form, main script:not([type='application/json'])").count() == 0
        assert not UNSEEN.search(page.content())
        links = page.locator("a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
        beside = {one.name for one in judged.path.iterdir()}
        assert all(link.startswith("#") or link in beside for link in links)
        for reader in page.locator(".reader").all():
            reader.focus()
            reader.press("End")
        said = page.locator("#outages-server .reader").get_attribute("aria-valuetext") or ""
        assert "<script>alert(1)</script>" in said
        assert page.locator(".tip script").count() == 0


def test_each_user_class_has_its_section(chromium: Browser, runs: dict[str, JudgedRun]) -> None:
    """With its verdict, charts and tables, and a link from the contents."""
    with open_page(chromium, file_of(runs["hostile"])) as page:
        page.locator(".contents a", has_text="Market").click()
        assert page.evaluate("location.hash") == "#class-2"
        for chart in ("class-2-latency-over-time", "class-2-percentiles", "class-2-outages-server"):
            assert page.locator(f"#{chart} .drawing path.line, #{chart} .drawing path.box").count() > 0
        assert page.locator("#class-2-item-messaging .chip").inner_text() == "FAIL"


def test_links_open_items_and_files(chromium: Browser, runs: dict[str, JudgedRun]) -> None:
    """An anchor opens the evidence it leads to; the run's files are beside the page."""
    with open_page(chromium, file_of(runs["sound"])) as page:
        item = page.locator("#item-stability")
        assert item.get_attribute("open") is None
        page.locator(".strip a", has_text="stability").click()
        assert item.get_attribute("open") == ""
        files = page.locator(".files a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
        assert {"run.json", "verdict.json", "latency.hlog", "events.jsonl", "junit.xml", "series.csv"} <= set(
            files
        )
        assert all((runs["sound"].path / name).is_file() for name in files)


def test_paper_has_the_evidence_and_clips_nothing(chromium: Browser, runs: dict[str, JudgedRun]) -> None:
    """Every item is open, no table is wider than the sheet, and colours are those of paper."""
    with open_page(chromium, file_of(runs["failing"]), size=(700, 990), scheme="dark") as page:
        page.emulate_media(media="print")
        hidden = ".item .body:not(:visible)"
        assert page.locator(hidden).count() == 0
        assert page.locator(".reader:visible, .chart .behind:visible").count() == 0
        clipped = page.locator("main .scroll:visible").evaluate_all(
            "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.ariaLabel)"
        )
        assert clipped == []
        assert wider_than_window(page) == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        picture(page, "failing-print")


def test_without_javascript_only_the_read_out_is_missing(
    chromium: Browser, runs: dict[str, JudgedRun]
) -> None:
    """Charts are drawn, tables unfold, links lead somewhere."""
    with open_page(chromium, file_of(runs["failing"]), script=False) as page:
        assert page.locator("#latency-over-time path.line").count() >= 3
        assert page.locator(".reader").count() == 0
        behind = page.locator('[data-behind="latency-over-time"]')
        behind.locator("summary").click()
        assert behind.locator("table").is_visible()
