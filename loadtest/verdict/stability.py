"""The item `stability`: do connections stay up until the client ends them?

A loss is the end of a connection that had worked and that the client did not end. None is allowed by default:
a server, proxy or platform that ends connections disturbs every user it does that to. What a team knows and
accepts, such as a platform's request timeout, it allows by rules (`loadtest.verdict.allowances`). The load
generator is never the cause: it counts only ends that it did not ask for. Nor do the losses of a drill count
here: a deploy ends connections, and `reconnect` judges what becomes of them.
"""

from collections.abc import Sequence

from loadtest import text
from loadtest.results.data import RunData
from loadtest.results.drill_recovery import in_drills
from loadtest.results.loss_groups import LossGroup
from loadtest.results.uptime import Away, Uptime
from loadtest.ruling import Ruling
from loadtest.verdict.allowances import NONE_ALLOWED, Allowance, parse_allowances, rule_for
from loadtest.verdict.items import Item, imbalance
from loadtest.verdict.loss_evidence import LossesSeen, StabilityEvidence

MIN_SESSION_S = 10.0
"""Session-seconds needed for PASS: less shows next to nothing, and ten sessions reach it in a second."""

_GROUPS_SHOWN = 3
_REASON_SHOWN = 80

_CAUSES = {
    "reset": "RST",
    "eof": "FIN",
    "tls": "TLS error",
    "ping_timeout": "ping timeout",
    "not_reading": "not read by the server",
    "protocol_error": "protocol error",
    "message_too_big": "message too big",
    "invalid_utf8": "invalid UTF-8",
    "flooded": "flooded",
}


def cause_text(cause: str) -> str:
    """Return a loss's cause for people: its close code, or `RST`, `FIN`, `ping timeout`."""
    return _CAUSES.get(cause, text.one_line(cause, _REASON_SHOWN))


def judge(run: RunData) -> Item[StabilityEvidence]:
    """Judge the connections that the server or the network ended.

    Raises:
        InvalidSetting: run.json has a rule that cannot be read.
    """
    rules = parse_allowances(run.manifest.allowed_losses, option="allowed_losses in run.json")
    verdict, summary = _ruling(run, rules)
    uptime = run.uptime
    return Item(
        item="stability",
        verdict=verdict,
        summary=summary,
        evidence=StabilityEvidence(
            lost=uptime.lost,
            unaccounted=_unaccounted(run),
            session_hours=uptime.session_hours,
            per_session_hour=_per_hour(uptime.lost, uptime),
            allowed=list(map(str, rules)),
            losses=[_seen(group, uptime, rules) for group in uptime.losses],
            away=list(uptime.away),
            more_away=uptime.more_away,
            barred=_barred(run),
            in_drills=in_drills(run.drills),
        ),
    )


def breaks_fixed_rule(run: RunData) -> bool:
    """Return whether more connections were lost than a rule allows in any run, of whatever length.

    Raises:
        InvalidSetting: run.json has a rule that cannot be read.
    """
    rules = parse_allowances(run.manifest.allowed_losses, option="allowed_losses in run.json")
    return any(not rule.per_hour and count > rule.most for rule, count in _by_rule(run, rules).items())


def _by_rule(run: RunData, rules: Sequence[Allowance]) -> dict[Allowance, int]:
    """Return the losses by the rule that covers them."""
    lost_by_rule = dict.fromkeys((*rules, NONE_ALLOWED), 0)
    for code, count in run.uptime.lost_by_code.items():
        lost_by_rule[rule_for(code, rules)] += count
    return lost_by_rule


def _ruling(run: RunData, rules: Sequence[Allowance]) -> tuple[Ruling, str]:
    uptime = run.uptime
    lost_by_rule = _by_rule(run, rules)
    hours = uptime.session_hours
    if any(rule.broken_beyond_chance(count, hours) for rule, count in lost_by_rule.items()):
        return Ruling.FAIL, _losses_text(run, rules)
    if exceeded := [rule for rule, count in lost_by_rule.items() if count > rule.most_in(hours)]:
        doubt = f"more than {' '.join(map(str, exceeded))}, which may be chance: run longer"
        return Ruling.INCONCLUSIVE, f"{_losses_text(run, rules)}; {doubt}"
    if left := _unaccounted(run):
        return Ruling.INCONCLUSIVE, imbalance(left, f"{text.count(uptime.lost + left)} losses", "record")
    if uptime.session_s < MIN_SESSION_S:
        needed = f"{MIN_SESSION_S:g} session-seconds are needed: run longer"
        return Ruling.INCONCLUSIVE, f"{_losses_text(run, rules)}; {needed}"
    return Ruling.PASS, _losses_text(run, rules)


def _unaccounted(run: RunData) -> int:
    """Return how many losses were counted whose record is missing; negative if there are too many records.

    In a run that did not end normally the files may end at different moments.
    """
    counted = sum(run.counts_of("losses").values())
    found = run.uptime.lost + in_drills(run.drills)
    return counted - found if run.manifest.complete else 0


def _barred(run: RunData) -> int:
    """Return how many sessions a close code bars from reconnecting, those in drills excluded."""
    return max(0, run.count("stability.barred") - sum(one.barred for one in run.drills))


def _per_hour(count: int, uptime: Uptime) -> float | None:
    return count / uptime.session_hours if uptime.session_s else None


def _seen(group: LossGroup, uptime: Uptime, rules: Sequence[Allowance]) -> LossesSeen:
    allowed = None if group.code is None else rule_for(group.code, rules).amount
    return LossesSeen.of(group, allowed=allowed, per_session_hour=_per_hour(group.count, uptime))


def _losses_text(run: RunData, rules: Sequence[Allowance]) -> str:
    """Describe the losses: `9 connections lost in 1.7 session-hours (5.3/h): 9 x 1011; …`."""
    uptime = run.uptime
    exposure = f"in {exposure_text(uptime.session_hours)}"
    drilled = _drilled_text(run)
    if not uptime.lost:
        return f"0 losses {exposure}{drilled}"
    per_hour = _per_hour(uptime.lost, uptime)
    rate = "" if per_hour is None else f" ({text.figures(per_hour)}/h)"
    first_s = min(group.first_at_s for group in uptime.losses)
    parts = [
        f"{text.counted(uptime.lost, 'connection')} lost {exposure}{rate}: {_groups_text(uptime)}",
        f"first at {text.clock(first_s)}",
    ]
    if barred := _barred(run):
        parts.append(f"{text.counted(barred, 'session')} barred from reconnecting")
    if uptime.away:
        more = len(uptime.away) - 1 + uptime.more_away
        who = "server" if run.manifest.proxy is None else "server or proxy"
        parts.append(f"{who} away {away_text(uptime.away[:1], more)}")
    if rules:
        parts.append(f"allowed: {' '.join(map(str, rules))}")
    return "; ".join(parts) + drilled


def _drilled_text(run: RunData) -> str:
    count = in_drills(run.drills)
    return f"; {text.count(count)} more in drills, judged by reconnect" if count else ""


def _groups_text(uptime: Uptime) -> str:
    shown = uptime.losses[:_GROUPS_SHOWN]
    texts = list(map(loss_text, shown))
    if rest := uptime.lost - sum(group.count for group in shown):
        texts.append(f"{text.count(rest)} others")
    return ", ".join(texts)


def loss_text(losses: LossGroup | LossesSeen) -> str:
    """Describe losses of the same kind: `9 x 1011 'internal error'`."""
    reason = f" '{text.one_line(losses.reason, _REASON_SHOWN)}'" if losses.reason else ""
    return f"{text.count(losses.count)} x {cause_text(losses.cause)}{reason}"


def exposure_text(session_hours: float) -> str:
    """Write how long sessions were up, summed over all: `1.7 session-hours`, `25 session-seconds`."""
    if session_hours >= 0.1:
        return f"{text.figures(session_hours)} session-hours"
    if session_hours >= 1 / 60:
        return f"{text.figures(session_hours * 60)} session-minutes"
    return f"{text.figures(session_hours * 3600)} session-seconds"


def away_text(away: Sequence[Away], more: int) -> str:
    """Write when the server was away: `from 00:12 until the end, and once more`."""
    spans = [
        f"from {text.clock(one.from_s)} until {'the end' if one.until_s is None else text.clock(one.until_s)}"
        for one in away
    ]
    if more:
        spans.append("and once more" if more == 1 else f"and {text.counted(more, 'more time')}")
    return ", ".join(spans)
