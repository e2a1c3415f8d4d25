"""Kill an adapter before each of its own lines, in a child process.

What it can show: death of the process between two lines of Python. Not power loss, nor a torn
page: those are the database's.
"""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from mailrouting.storage import Storage
from mailrouting.testing._kit import Opener

__all__ = [
    "Operation",
    "adapter_folders",
    "dies_before_line",
    "in_child",
    "lines_to_die_at",
]

_NOT_ADAPTERS = ("builtins", "typing", "abc", "mailrouting.storage")
_DIED, _SURVIVED, _RAISED = 70, 0, 71

_Tracer = Callable[[FrameType, str, Any], Any]
Operation = Callable[[Storage[object]], object]


def adapter_folders(adapter: object) -> tuple[str, ...]:
    """Return the folders that hold the adapter's own modules."""
    files = {
        getattr(sys.modules[kind.__module__], "__file__", None)
        for kind in type(adapter).__mro__
        if not kind.__module__.startswith(_NOT_ADAPTERS)
    }
    return tuple(f"{Path(file).parent}{os.sep}" for file in files if file)


def _fork() -> int:
    with warnings.catch_warnings():
        # Python warns about threads; the child only runs the adapter and leaves.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _tracer(folders: tuple[str, ...], on_line: Callable[[], None]) -> _Tracer:
    def trace(frame: FrameType, event: str, _: object) -> _Tracer | None:
        if not frame.f_code.co_filename.startswith(folders):
            return None
        if event == "line":
            on_line()
        return trace

    return trace


def lines_to_die_at(opener: Opener, run: Operation, *, most: int) -> list[int]:
    """Run once in a child; return the numbers of its adapter lines, evenly thinned to `most`."""

    def count() -> str:
        passed = 0

        def on_line() -> None:
            nonlocal passed
            passed += 1

        storage = opener()
        sys.settrace(_tracer(adapter_folders(storage), on_line))
        run(storage)
        sys.settrace(None)
        return str(passed)

    total = int(in_child(count)())
    return (
        sorted({total * step // most for step in range(most)}) if total > most else [*range(total)]
    )


def dies_before_line(opener: Opener, run: Operation, *, line: int) -> bool:
    """Run in a child that opens the data and dies before this line of the adapter.

    Returns:
        False when the child came to the end before.

    Raises:
        AssertionError: The child raised.
    """
    child = _fork()
    if child == 0:
        # The child leaves by _exit alone: neither pytest nor coverage may see it end.
        try:
            left = line

            def on_line() -> None:
                nonlocal left
                if left == 0:
                    os._exit(_DIED)
                left -= 1

            storage = opener()
            sys.settrace(_tracer(adapter_folders(storage), on_line))
            run(storage)
            os._exit(_SURVIVED)
        except BaseException:  # noqa: BLE001 - nothing may escape from the child
            os._exit(_RAISED)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {_DIED, _SURVIVED}, f"the child that was to be killed ended with {code}"
    return code == _DIED


def in_child(run: Callable[[], str]) -> Callable[[], str]:
    """Run in a child, beside the parent; return what waits for its answer."""
    reading, writing = os.pipe()
    child = _fork()
    if child == 0:
        try:
            sys.settrace(None)
            os.close(reading)
            os.write(writing, run().encode())
            os._exit(_SURVIVED)
        except BaseException:  # noqa: BLE001 - nothing may escape from the child
            os._exit(_RAISED)
    os.close(writing)

    def answer() -> str:
        with os.fdopen(reading, "rb") as pipe:
            text = pipe.read().decode()
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == _SURVIVED, "the child process failed"
        return text

    return answer
