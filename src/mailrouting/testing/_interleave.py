"""Pause an adapter before each of its own lines, and let another handle run in between.

One forced pre-emption a run finds a check that is not locked to its write every time. On a machine
that is slow it may miss one; it never cries wolf.
"""

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import attrs

__all__ = ["Ended", "Race", "race_at_each_line"]

# One that takes longer waits for a lock that the paused one holds.
_BLOCKED_SECONDS = 0.02
_LONGEST_STRIDE = 16

Tracer = Callable[[FrameType, str, Any], Any]


@attrs.frozen
class Ended:
    """Say how an operation ended.

    Attributes:
        value: What it returned.
        error: What it raised.
    """

    value: object = None
    error: Exception | None = None

    @classmethod
    def of(cls, run: Callable[[], object]) -> "Ended":
        """Run to the end."""
        try:
            return cls(value=run())
        except Exception as error:  # noqa: BLE001 - it is judged by the test
            return cls(error=error)


@attrs.frozen(kw_only=True)
class Race:
    """Be two operations on the same data, and what must be true whichever came first.

    Attributes:
        first: Paused before a line.
        second: Runs while the first is paused.
        check: Called with both ends and where the first was paused; asserts.
    """

    first: Callable[[], object]
    second: Callable[[], object]
    check: Callable[[Ended, Ended, str], None]


class _Paused:
    """Run an operation in a thread that stops before a line of the adapter."""

    def __init__(self, run: Callable[[], object], folders: tuple[str, ...], line: int) -> None:
        self.ended = Ended()
        self.place = ""
        self._run = run
        self._folders = folders
        self._left = line
        self._reached = threading.Event()
        self._go_on = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def start(self) -> bool:
        """Return whether the line was reached; else the operation has ended."""
        self._thread.start()
        self._reached.wait()
        return bool(self.place)

    def finish(self) -> Ended:
        self._go_on.set()
        self._thread.join()
        return self.ended

    def _work(self) -> None:
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            self.ended = Ended.of(self._run)
        finally:
            sys.settrace(before)
            self._reached.set()

    def _trace(self, frame: FrameType, event: str, _: object) -> Tracer | None:
        if self.place or not frame.f_code.co_filename.startswith(self._folders):
            return None
        if event == "line":
            if self._left == 0:
                self.place = f"{frame.f_code.co_name}, line {frame.f_lineno}"
                self._reached.set()
                self._go_on.wait()
                return None
            self._left -= 1
        return self._trace


class _Beside:
    """Run an operation in a thread that may have to wait for the paused one."""

    def __init__(self, run: Callable[[], object]) -> None:
        self._ended = Ended()
        self._run = run
        self._thread = threading.Thread(target=self._work)

    def start(self) -> bool:
        """Return whether it waits."""
        self._thread.start()
        self._thread.join(_BLOCKED_SECONDS)
        return self._thread.is_alive()

    def finish(self) -> Ended:
        self._thread.join()
        return self._ended

    def _work(self) -> None:
        self._ended = Ended.of(self._run)


def race_at_each_line(make: Callable[[], Race], folders: tuple[str, ...]) -> int:
    """Race at each line of the adapter; return how many races were run.

    Where the second waits for a lock of the first, lines are passed over in growing strides, and
    run one by one again from where it does not.

    Args:
        make: Makes fresh data for each race.
        folders: Where the adapter's modules are.
    """
    line, stride, races = 0, 1, 0
    last_blocked = -1
    while True:
        race = make()
        paused = _Paused(race.first, folders, line)
        reached = paused.start()
        beside = _Beside(race.second)
        blocked = beside.start()
        first = paused.finish()
        race.check(first, beside.finish(), paused.place or "the end")
        races += 1
        if blocked:
            last_blocked, stride = line, min(stride * 2, _LONGEST_STRIDE)
        elif stride > 1:
            # What was passed over is run after all, from the last line that was locked.
            line, stride = last_blocked, 1
        elif not reached:
            return races
        line += stride
