"""Be the child: read one mail after another, in little memory, knowing no secret.

Started by `mailrouting.isolation._parent` as `python -m mailrouting.isolation._child DESCRIPTOR`.
"""

import importlib
import json
import math
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, cast

from mailrouting.isolation._channel import Answer, dump_message, receive, receive_mail, send
from mailrouting.reading import Helpers, Reader, ReadingLimits

__all__ = ["main", "serve"]


def main() -> None:
    """Serve the parent on the descriptor that it named, until it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the parent
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        serve(channel, limit=_limit)


def serve(
    channel: socket.socket, *, limit: Callable[[Mapping[str, Any]], Callable[[], None]]
) -> None:
    """Read what comes, until the parent is gone.

    Args:
        channel: To the parent.
        limit: Bounds this process by the settings; returns what is to be called before each mail.
    """
    try:
        _, settings_text = receive(channel)
        settings: dict[str, Any] = json.loads(settings_text)
        before_mail = limit(settings)
        try:
            reader, helpers = _load(settings)
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent is to say it
            send(channel, Answer.REFUSED, f"{type(error).__name__}: {error}".encode())
            return
        send(channel, Answer.READY, b"")
        while True:
            raw, limits = receive_mail(channel)
            before_mail()
            _read(channel, raw, ReadingLimits(**limits), reader, helpers)
    except (EOFError, ConnectionError):
        return


def _read(
    channel: socket.socket, raw: bytes, limits: ReadingLimits, reader: Reader, helpers: Helpers
) -> None:
    try:
        answer = dump_message(reader(raw, limits=limits, helpers=helpers), raw)
    except Exception as error:  # noqa: BLE001 - the mail failed, and the parent is to say it
        failure = {"type": type(error).__name__, "place": _place(error)}
        send(channel, Answer.FAILURE, json.dumps(failure).encode())
    else:
        send(channel, Answer.MESSAGE, answer)


def _place(error: Exception) -> str:
    """Say where an error arose; its text may hold content of the mail."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{PurePath(frame.filename).name}:{frame.lineno}"


def _load(settings: Mapping[str, Any]) -> tuple[Reader, Helpers]:
    sys.path[:0] = settings["search_path"]
    reader = _named(settings["reader"])
    factory = settings["helpers"]
    helpers = _named(factory)() if factory else Helpers()
    return cast("Reader", reader), cast("Helpers", helpers)


def _named(name: str) -> Callable[..., object]:
    module, _, attribute = name.partition(":")
    return cast("Callable[..., object]", getattr(importlib.import_module(module), attribute))


def _limit(settings: Mapping[str, Any]) -> Callable[[], None]:
    memory, seconds = settings["memory_bytes"], math.ceil(settings["deadline_seconds"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold the mail
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    def before_mail() -> None:
        # Should the parent die, nobody else ends a loop.
        used = resource.getrusage(resource.RUSAGE_SELF)
        until = math.ceil(used.ru_utime + used.ru_stime) + seconds + 1
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))

    return before_mail


if __name__ == "__main__":
    main()
