"""What nobody needs is read fast, but no faster than all connections together may."""

from loadtest.transport.raw_tcp import BURST_NS, BYTES_PER_S, FRAMES_PER_S, Surplus

READ = 2**18
"""Bytes of the largest read of a socket."""


class Clock:
    """A clock that a test sets."""

    now_ns = 10**12

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ns


def test_a_sound_server_is_read_as_fast_as_it_pushes() -> None:
    """Ten connections of 12 MB a second never pause, however long they live."""
    clock = Clock()
    surplus = Surplus(clock)
    for _ in range(1000):
        clock.now_ns += READ * 10**9 // 120_000_000
        assert surplus.pause_s(READ) == 0


def test_a_backlog_of_ten_megabytes_takes_less_than_a_tenth_of_a_second() -> None:
    """So the FIN behind it is noticed in time."""
    clock = Clock()
    surplus = Surplus(clock)
    for _ in range(10_000_000 // READ):
        clock.now_ns += round(surplus.pause_s(READ) * 1e9)
    assert clock.now_ns - Clock.now_ns < 10**8


def test_all_connections_share_the_allowance() -> None:
    """Many that flood at once take no more of this process than one."""
    clock = Clock()
    surplus = Surplus(clock)
    pauses_s = [surplus.pause_s(READ) for _ in range(100)]
    assert pauses_s[-1] >= 100 * READ / BYTES_PER_S - 1.01 * BURST_NS / 1e9
    assert pauses_s == sorted(pauses_s)
    assert surplus.pause_s(0, frames=10**6) >= 10**6 / FRAMES_PER_S
