"""How numbers are written: the same everywhere a person reads them.

Three significant figures or so, the unit beside the number, a dash for what is not known. Machines read
the JSON files, which hold the numbers themselves.
"""

UNKNOWN = "-"


def count(number: int) -> str:
    """Write a whole number, thousands apart."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Write so many of something, in the plural but for one."""
    return f"{count(number)} {noun}{'s' * (number != 1)}"


def span(us: float | None) -> str:
    """Write a time given in microseconds, in milliseconds or, from one second on, in seconds."""
    if us is None:
        return UNKNOWN
    return f"{_figures(us / 1e6)} s" if us >= 1_000_000 else f"{_figures(us / 1000)} ms"


def clock(seconds: float) -> str:
    """Write a duration as minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def change(ratio: float | None) -> str:
    """Write a relative change with its sign, in percent."""
    # Adding zero makes a rounded -0.0 a 0.0.
    return UNKNOWN if ratio is None else f"{round(100 * ratio, 1) + 0.0:+,.1f} %"


def share(ratio: float | None) -> str:
    """Write a ratio in percent."""
    return UNKNOWN if ratio is None else f"{100 * ratio:.3g} %"


def _figures(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3g}"
