"""Whether a run's books balance: what was begun has ended in one of the ways there are, once.

They do, whatever the server does; they do not if a worker's part is lost, or by an error in the tool. Either
way what the counts show cannot be trusted to be all there is.
"""

from collections.abc import Iterable

from loadtest.evidence import Evidence


def unaccounted(evidence: Evidence, item: str, begun: str, endings: Iterable[str]) -> int:
    """Return how many of what an item counts as begun have no ending; below 0, how many have one too many.

    A run that was not ended in good order still had some under way; they are no error.
    """
    left = evidence.count(f"{item}.{begun}") - sum(evidence.count(f"{item}.{ending}") for ending in endings)
    return left if evidence.manifest.complete else min(left, 0)


def imbalance(left: int, begun: str) -> str:
    """Return what is to say of books that do not balance.

    Args:
        left: how many have no ending.
        begun: how many of what were begun, "200 outages".
    """
    return (
        f"the books do not balance: {left} of {begun} have no outcome. "
        "A worker was lost, or this is an error in the tool"
    )
