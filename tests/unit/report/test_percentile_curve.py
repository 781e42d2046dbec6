"""The curve of percentiles: as far into the tail as the samples carry it."""

from loadtest.report.percentile_curve import percentile_curve
from tests.support.runs import gathered, interval, manifest, plan


def test_nothing_was_recorded() -> None:
    """No samples, no curve."""
    assert percentile_curve(gathered([]), "service") == []


def test_a_curve_goes_as_far_as_its_samples() -> None:
    """A thousand samples reach p99.9; the values are those of the sorted list."""
    of = manifest(run_plan=plan(warmup_s=0.0))
    curve = percentile_curve(gathered([interval(0, samples_us={"service": range(1, 1001)})], of), "service")
    assert [percentile for percentile, _ in curve] == sorted(percentile for percentile, _ in curve)
    assert curve[-1] == (99.9, 0.999)
    assert {50.0: 0.5, 90.0: 0.9, 99.0: 0.99}.items() <= dict(curve).items()
    for percentile, ms in curve[1:]:
        assert 1000 * ms == max(1, int(percentile / 100 * 1000 + 0.5))


def test_a_curve_ends_at_four_nines() -> None:
    """More samples do not make it longer."""
    of = manifest(run_plan=plan(warmup_s=0.0))
    samples = [100 * (number % 7 + 1) for number in range(150_000)]
    curve = percentile_curve(gathered([interval(0, samples_us={"response": samples})], of), "response")
    assert curve[-1][0] == 99.99
