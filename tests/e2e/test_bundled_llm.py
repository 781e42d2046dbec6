"""The bundled dialect `llm` against a double of OpenAI's Realtime API, which OpenAI's own client checks."""

from __future__ import annotations

import asyncio
from pathlib import Path

from openai import AsyncOpenAI

from tests.support.bundled import bundled_server, check_bundled, run_bundled
from tests.support.examples import failed, passed
from tests.support.locusts import Finished

CONVERSATION = ('session={"type": "realtime", "output_modalities": ["text"]}', "repeats=on")
APART = ("conversation=none", "prompt=Say it: $text", "repeats=on")


TOKEN = ("--ws-token", "secret")


def _run(fault: str, folder: Path, *options: str) -> Finished:
    with bundled_server("realtime", fault) as url:
        return run_bundled("llm", url, folder, *TOKEN, options=options)


async def _ask(url: str) -> tuple[str, list[str]]:
    """Return the answer that OpenAI's client gets, and the types of all events."""
    client = AsyncOpenAI(api_key="secret", websocket_base_url=f"{url}/v1")
    text, kinds = "", list[str]()
    async with client.realtime.connect(model="double") as connection:
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "hello"}],
            }
        )
        await connection.response.create()
        async for event in connection:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.done":
                break
    return text, kinds


def test_sound(tmp_path: Path) -> None:
    """OpenAI's client understands the server, and the dialect passes, in a conversation and apart from it."""
    with bundled_server("realtime") as url:
        text, kinds = asyncio.run(_ask(url))
        checked = check_bundled("llm", url, *APART, token="secret")
        refused = check_bundled("llm", url, "login-by=subprotocol", token="stale")
        finished = run_bundled("llm", url, tmp_path, *TOKEN, options=CONVERSATION)
    assert (text, kinds[0]) == ("You said: hello", "session.created")
    assert (checked["exit_code"], {one["level"] for one in checked["findings"]}) == (0, {"note"})
    assert "Incorrect API key provided. (invalid_api_key)" in refused["headline"]
    summaries = passed(finished)
    assert summaries["persistence"] == "sessions of the dialect llm have no identity"
    latency = finished.evidence("messaging")["percentiles"]
    assert latency["first_part"]["p50_ms"] < latency["service"]["p50_ms"]


def test_a_lost_delta(tmp_path: Path) -> None:
    """Deltas that are not the text at the end fail, with both lengths."""
    _, errors = failed(_run("delta_lost", tmp_path, *APART), "messaging")
    example = errors["the server answered with an error"]
    assert "the deltas do not match the text of response.output_text.done: " in example


def test_a_failed_response(tmp_path: Path) -> None:
    """The reason of the server is shown, and the conversation goes on."""
    summary, errors = failed(_run("rate_limited", tmp_path, *CONVERSATION), "messaging")
    assert "answered with an error" in summary
    example = errors["the server answered with an error"]
    assert example.endswith("response failed: Rate limit reached (rate_limit_exceeded)")
