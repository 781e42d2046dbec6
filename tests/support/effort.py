"""Settings of property tests."""

from hypothesis import HealthCheck, settings


def effort(examples: int, *, steps: int = 50) -> settings:
    """Return settings for a property test, without the deadlines that fail on a busy machine.

    Args:
        examples: number of examples.
        steps: number of steps in each run of a state machine.
    """
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
