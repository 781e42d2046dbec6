"""How hard property tests try."""

from hypothesis import HealthCheck, settings


def effort(examples: int, *, steps: int = 50) -> settings:
    """Return the settings of a property test: this many examples, and nothing that a busy machine can fail.

    Args:
        examples: how many are tried.
        steps: of one walk of a state machine.
    """
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
