"""The check that work is linear, by a clock that the work itself moves on."""

import time

import pytest

from tests.support.growth import assert_linear

SIZES = (100, 200, 400)


@pytest.mark.parametrize(("power", "linear"), [(0, True), (1, True), (2, False), (3, False)])
def test_work_that_grows_faster_than_its_size_fails(
    monkeypatch: pytest.MonkeyPatch, power: int, linear: bool
) -> None:
    """Constant and linear work pass, quadratic and cubic do not."""
    now_s = 0.0

    def work(size: int) -> None:
        nonlocal now_s
        now_s += 1e-5 * size**power

    monkeypatch.setattr(time, "process_time", lambda: now_s)
    if linear:
        assert_linear(work, SIZES)
    else:
        with pytest.raises(AssertionError, match=r"s for \d+, .* s for \d+"):
            assert_linear(work, SIZES)


def test_what_takes_no_time_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the floor, a ratio says nothing."""
    now_s = 0.0

    def work(size: int) -> None:
        nonlocal now_s
        now_s += 1e-9 * size**2

    monkeypatch.setattr(time, "process_time", lambda: now_s)
    assert_linear(work, SIZES)


def test_one_step_may_be_dearer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that outgrows a cache is still linear."""
    now_s = 0.0

    def work(size: int) -> None:
        nonlocal now_s
        now_s += 1e-4 * size * (2 if size > 200 else 1)

    monkeypatch.setattr(time, "process_time", lambda: now_s)
    assert_linear(work, SIZES)
