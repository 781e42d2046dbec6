"""How hard property tests try.

Two hypothesis profiles: `ci` tries every example that a test asks for and is taken where CI is set, `dev` a
third of them. `pytest --hypothesis-profile=ci` chooses one.
"""

import math
import os

from hypothesis import HealthCheck, settings

FULL = 100
"""Examples of the profile that tries all."""

for _name, _examples in (("ci", FULL), ("dev", FULL // 3)):
    settings.register_profile(
        _name, max_examples=_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def effort(examples: int, *, steps: int = 50) -> settings:
    """Return the settings of a property test, which nothing on a busy machine can fail.

    Args:
        examples: how many the profile `ci` tries.
        steps: of one walk of a state machine.
    """
    share = settings.default.max_examples / FULL if settings.default is not None else 1.0
    return settings(max_examples=math.ceil(examples * share), stateful_step_count=steps)
