"""All loads of this process: one per user class of the run, started and ended together.

Local runs and workers have loads. Each class has its own engine in its own thread, with its own settings,
token and records. The classes share the process: its GIL, its files and its secrets.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import gevent
from locust.env import Environment

from loadtest.locust_plugin.load import Load, Place, RunInfo
from loadtest.locust_plugin.load_settings import LoadSettings
from loadtest.results.drill_windows import Windows
from loadtest.results.interval import PackedInterval
from loadtest.scrubber import Secrets, joined
from loadtest.session.recorder import Lifecycle


class Loads:
    """The loads of this process; the arguments are those of `Load`.

    Args:
        settings: by name of the user class, the same names in the same order in all processes.
    """

    def __init__(
        self,
        settings: Mapping[str, LoadSettings],
        info: RunInfo,
        *,
        start_ns: int,
        worker: int | None,
        environment: Environment,
        deliver: Callable[[PackedInterval, Iterable[Lifecycle]], None],
        failed: Callable[[BaseException], None],
        windows: Callable[[], Windows],
        token_issued: Callable[[str], None] = lambda _: None,
    ) -> None:
        several = len(settings) > 1
        self._loads: dict[str, Load] = {}
        try:
            for nth, (name, of_class) in enumerate(settings.items()):
                self._loads[name] = Load(
                    of_class,
                    info,
                    start_ns=start_ns,
                    worker=worker,
                    environment=environment,
                    deliver=deliver,
                    failed=failed,
                    windows=windows,
                    token_issued=token_issued,
                    place=Place(name if several else None, nth, len(settings)),
                )
        except BaseException:
            for load in self._loads.values():
                load.finish()
            raise

    @property
    def secrets(self) -> Secrets:
        """Texts that must not appear in a file or a log, of all classes."""
        return joined([load.secrets for load in self._loads.values()])

    def start_user(self, user: object) -> Sequence[int]:
        """Start the sessions of a user; return their numbers."""
        if len(self._loads) == 1:
            return next(iter(self._loads.values())).start_user(user)
        return self._loads[type(user).__name__].start_user(user)

    def stop_user(self, numbers: Sequence[int]) -> None:
        """Stop these sessions, which are one user's, and wait until they have closed."""
        for load in self._loads.values():
            if numbers and load.place.has(numbers[0]):
                load.stop_user(numbers)

    def begin_ending(self) -> None:
        """Begin the run's end: connections that the server ends from now on are not counted."""
        for load in self._loads.values():
            load.begin_ending()

    def finish(self) -> None:
        """Stop all sessions, deliver the last intervals, and end the engines' threads.

        Raises:
            Exception: raised by the first load that failed; the others are finished all the same.
        """
        ending = [gevent.spawn(load.finish) for load in self._loads.values()]
        gevent.joinall(ending)
        for one in ending:
            one.get()
