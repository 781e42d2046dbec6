"""What only a look at the machine tells of a target and of addresses to connect from."""

import socket

import pytest

from loadtest.errors import InvalidSetting
from loadtest.transport.target import LOOPBACK, Target, check_reachable, check_source, free_port


def test_a_listener_is_reachable() -> None:
    """Whatever it speaks."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        check_reachable(Target(LOOPBACK, listener.getsockname()[1]))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (Target(LOOPBACK, free_port()), "cannot be reached: Connection refused"),
        (Target("no-such-host.invalid", 80), "cannot be reached: "),
        (Target("no..host", 80), "must have a valid host name"),
    ],
    ids=["port", "name", "malformed name"],
)
def test_a_target_that_nobody_listens_at_is_refused(target: Target, says: str) -> None:
    """The target is named as it was understood."""
    with pytest.raises(InvalidSetting) as refused:
        check_reachable(target)
    assert str(refused.value).startswith(f"--host {says}")
    assert f"(got '{target}')" in str(refused.value)


def test_only_addresses_of_this_machine_can_be_connected_from() -> None:
    """203.0.113.0/24 is nobody's (RFC 5737)."""
    check_source(LOOPBACK)
    with pytest.raises(InvalidSetting, match=r"^--ws-source-ip must be an address of this machine \(.*got"):
        check_source("203.0.113.9")
