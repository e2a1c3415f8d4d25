"""Keep children warm, give each one mail at a time, and replace those that died of it."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import attrs

from mailrouting.errors import ConfigurationError, HookError, StorageUnavailableError
from mailrouting.isolation._channel import Answer, load_message, receive, send, send_mail
from mailrouting.reading import Helpers, MailSource, Message, ReadingLimits

__all__ = ["Isolation"]

_START_SECONDS = 60.0
_DEATH_SECONDS = 1.0
_KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR")
_BUILTIN = {"MemoryError": MemoryError, "RecursionError": RecursionError}


@attrs.define(eq=False)
class _Child:
    process: subprocess.Popen[bytes]
    channel: socket.socket

    def end(self) -> int:
        """Kill it, whatever it does, and return how it ended."""
        self.channel.close()
        self.process.kill()
        return self.process.wait()

    def died(self) -> str:
        """Say how it ended, or end it when it lives."""
        try:
            # It may be gone from the channel a moment before it is gone.
            status = self.process.wait(timeout=_DEATH_SECONDS)
        except subprocess.TimeoutExpired:
            self.end()
            return "it talked nonsense"
        self.channel.close()
        return f"signal {-status}" if status < 0 else f"exit status {status}"


class Isolation:
    r"""Read mail in child processes; a `Reader` for `Fetcher(reader=...)`.

    A child is started when it is first needed, kept for the next mail, and replaced when it died.
    It gets no environment but what Python needs, so no secret, and may use so much memory and so
    many seconds for a mail. May be called from many threads at once: each call has a child of its
    own, so there are at most as many as threads.

    >>> with Isolation() as reader:
    ...     reader(b"Subject: Printer\r\n\r\nIt is on fire.\r\n").subject
    'Printer'

    Args:
        deadline_seconds: How long a mail may take.
        memory_bytes: Address space of a child (`RLIMIT_AS`).
        reader: What reads there, as `module:function`.
        helpers: What makes the `Helpers` there, as `module:function`; None: there are none. The
            `helpers` of a call are not used: functions do not cross into another process.
        search_path: Folders where a child looks for these modules first.
        python: The interpreter; by default this process's own, which is another program where
            Python is embedded.
    """

    def __init__(
        self,
        *,
        deadline_seconds: float = 60.0,
        memory_bytes: int = 1 << 30,
        reader: str = "mailrouting.reading:read",
        helpers: str | None = "mailrouting.integrations.reading_helpers:installed_helpers",
        search_path: Sequence[str] = (),
        python: str = sys.executable,
    ) -> None:
        self._python = python
        self._deadline_seconds = deadline_seconds
        self._memory_bytes = memory_bytes
        self._settings: dict[str, object] = {
            "deadline_seconds": deadline_seconds,
            "memory_bytes": memory_bytes,
            "reader": reader,
            "helpers": helpers,
            "search_path": list(search_path),
        }
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._is_closed = False

    def __call__(
        self,
        raw: MailSource,
        *,
        limits: ReadingLimits | None = None,
        helpers: Helpers | None = None,  # noqa: ARG002 - a Reader is given them
    ) -> Message:
        """Read one mail elsewhere.

        Raises:
            HookError: The mail killed its child, took too long or too much memory, or what reads
                raised; its `hook` is `read`.
            ConfigurationError: `reader` or `helpers` cannot be loaded.
            StorageUnavailableError: The system gives no other process now, or this is closed.
        """
        child = self._take()
        ends_at = time.monotonic() + self._deadline_seconds
        try:
            kind, payload = self._ask(child, raw, limits or ReadingLimits(), ends_at)
            message = load_message(payload, raw) if kind is Answer.MESSAGE else None
        except TimeoutError as error:
            child.end()
            raise _failed(f"took longer than {self._deadline_seconds:g} s") from error
        except (EOFError, OSError) as error:
            raise _failed(f"ended the process that read it: {child.died()}") from ChildProcessError(
                f"{type(error).__name__}: {error}"
            )
        except BaseException:
            child.end()
            raise
        if message is None:
            child.end()  # who knows what it has left of memory and stack
            raise _raised(payload)
        self._give(child)
        return message

    def _ask(
        self, child: _Child, raw: MailSource, limits: ReadingLimits, ends_at: float
    ) -> tuple[Answer, bytes]:
        def left() -> float:
            return ends_at - time.monotonic()

        child.channel.settimeout(self._deadline_seconds)
        send_mail(child.channel, raw, attrs.asdict(limits))
        return receive(child.channel, most=self._memory_bytes, left=left)

    def _take(self) -> _Child:
        with self._lock:
            if self._is_closed:
                raise StorageUnavailableError("the children that read mail are closed")
            while self._idle:
                child = self._idle.pop()
                if child.process.poll() is None:
                    return child
                child.end()
        return self._start()

    def _give(self, child: _Child) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(child)
                return
        child.end()

    def _start(self) -> _Child:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # Nothing of a secret: mail is read by a process that never had one.
                process = subprocess.Popen(  # noqa: S603 - our own module
                    [self._python, "-m", "mailrouting.isolation._child", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env={name: os.environ[name] for name in _KEPT if name in os.environ},
                )
            except OSError as error:
                ours.close()
                raise StorageUnavailableError(
                    f"no process can be started to read mail: {error.strerror or error}",
                    hint="Free memory, or raise the limit on processes.",
                ) from error
        child = _Child(process, ours)
        try:
            self._greet(child)
        except BaseException:
            child.end()
            raise
        return child

    def _greet(self, child: _Child) -> None:
        child.channel.settimeout(_START_SECONDS)
        try:
            send(child.channel, Answer.SETTINGS, json.dumps(self._settings).encode())
            kind, payload = receive(child.channel, most=1 << 20)
        except (EOFError, OSError) as error:
            raise StorageUnavailableError(
                f"the process that reads mail does not start: {child.died()}",
                hint="Give it more memory (memory_bytes); look at the system's log.",
            ) from error
        if kind is not Answer.READY:
            raise ConfigurationError(
                f"the process that reads mail cannot load what is named: {payload.decode()}",
                hint="Name functions as module:function, in modules that it can import.",
            )

    def close(self) -> None:
        """End the children that read nothing; the others end with their mail. Idempotent."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()

    def __enter__(self) -> Self:
        """Start the first child, so that a wrong name is known at once."""
        self._give(self._take())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<Isolation, {self._deadline_seconds:g} s and {self._memory_bytes} bytes for a mail>"
        )


def _failed(what: str) -> HookError:
    return HookError(
        f"the mail {what}",
        hook="read",
        hint="The mail is kept whole and at last quarantined: export it, and report it.",
    )


def _raised(payload: bytes) -> HookError:
    found: dict[str, str] = json.loads(payload)
    name = str(found.get("type"))
    error = _failed(f"made what reads it raise {name[:80]} at {str(found.get('place'))[:80]}")
    if name in _BUILTIN:
        error.__cause__ = _BUILTIN[name]()
    return error
