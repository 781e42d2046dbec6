"""Files of rules that would take a careless reader for ever, or all memory."""

from loadtest.serverlog.rule_bounds import MAX_BYTES

RULE = '[[rule]]\nclass = "abrupt"\nmessage = "peer * vanished"\n'
"""A rule that is right."""


def hostile(part: int = 1) -> dict[str, str]:
    """Return the files by name; each is `1 / part` of its full size."""

    def times(text: str, count: int) -> str:
        return text * (count // part)

    return {
        "a key of many parts": "a" + times(".a", 120_000) + " = 1",
        "a key of many parts, spaced": "a" + times(" . a", 60_000) + " = 1",
        "a key of many quoted parts": '"a"' + times('."a"', 60_000) + " = 1",
        "a table of many parts": "[a" + times(".a", 120_000) + "]",
        "nested lists": "rule = " + times("[", 120_000),
        "nested tables": "rule = " + times("{a=", 60_000),
        "a number of many digits": "rule = " + times("9", 250_000),
        "a number with underscores": "rule = 1" + times("_1", 120_000),
        "a hexadecimal number": "rule = 0x" + times("f", 250_000),
        "a float": "rule = 1." + times("1", 250_000) + "e400",
        "a long key": times("a", 250_000) + " = 1",
        "many rules": times("[[rule]]\n", 25_000),
        "many keys": "\n".join(f"k{number} = 1" for number in range(20_000 // part)),
        "many tables": "\n".join(f"[t{number}]" for number in range(20_000 // part)),
        "many patterns": '[[rule]]\nclass = "abrupt"\nmessage = [' + times('"ab",', 45_000) + "]",
        "a long pattern": f'[[rule]]\nclass = "abrupt"\nmessage = "{times("a*", 100_000)}"',
        "an open string": 'a = "' + times('\\"', 100_000),
        "an open long string": 'a = """' + times('\\"""', 60_000),
        "quotes": times('"', 250_000),
        "apostrophes": times("'", 250_000),
        "spaces": "a" + times(" ", 250_000),
        "a wrong date": "rule = 2026-99-99T99:99:99Z",
        "an infinite number": "rule = inf",
        "more than its size": times(RULE, MAX_BYTES // len(RULE) + 1),
    }


HOSTILE = hostile()
