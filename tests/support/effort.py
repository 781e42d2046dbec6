"""Settings of property tests.

There are three hypothesis profiles: `ci` tries every example that a test asks for and is the default if CI is
set; `dev` tries a third of them, and `brief`, for runs that are traced, a tenth.
`pytest --hypothesis-profile=ci` selects one.
"""

import math
import os

from hypothesis import HealthCheck, settings

FULL = 100
"""Examples in the profile `ci`."""

for _name, _examples in (("ci", FULL), ("dev", FULL // 3), ("brief", FULL // 10)):
    settings.register_profile(
        _name, max_examples=_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def effort(examples: int, *, steps: int = 50, same_fixtures: bool = False) -> settings:
    """Return settings for a property test, without the deadlines that fail on a busy machine.

    Args:
        examples: number of examples in the profile `ci`.
        steps: number of steps in each run of a state machine.
        same_fixtures: whether all examples of a test share fixtures that are made once for each test.
    """
    share = settings.default.max_examples / FULL if settings.default is not None else 1.0
    chosen = settings(max_examples=math.ceil(examples * share), stateful_step_count=steps)
    if not same_fixtures:
        return chosen
    allowed = [*chosen.suppress_health_check, HealthCheck.function_scoped_fixture]
    return settings(chosen, suppress_health_check=allowed)
