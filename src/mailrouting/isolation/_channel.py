"""Carry mails to the child and messages back, believing nothing that the child says.

Whatever a mail made of the child, the parent only loads values: no function is ever looked up.
"""

import enum
import io
import json
import pickle
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

from mailrouting.reading import Message

__all__ = ["Answer", "dump_message", "load_message", "receive", "receive_mail", "send", "send_mail"]

_HEAD = struct.Struct("!BQ")
_SLICE = 1 << 20
_RAW = "raw"
_VALUES = "mailrouting.reading"
_OTHERS = frozenset({("datetime", "datetime"), ("datetime", "timedelta"), ("datetime", "timezone")})


class Answer(enum.IntEnum):
    """Say what a frame holds."""

    SETTINGS = 1
    READY = 2
    REFUSED = 3
    LIMITS = 4
    MAIL = 5
    MESSAGE = 6
    FAILURE = 7


def send(channel: socket.socket, kind: Answer, payload: bytes | memoryview) -> None:
    """Send one frame.

    Raises:
        TimeoutError: The other side does not take it.
        OSError: The other side is gone.
    """
    channel.sendall(_HEAD.pack(kind, len(payload)))
    channel.sendall(payload)


def receive(
    channel: socket.socket, *, most: int | None = None, left: Callable[[], float] | None = None
) -> tuple[Answer, bytes]:
    """Receive one frame.

    Args:
        channel: Where from.
        most: The longest payload that is believed.
        left: Says how many seconds are left; None: as long as it takes.

    Raises:
        EOFError: The other side is gone, or talks nonsense.
        TimeoutError: The time is over.
    """
    kind, length = _HEAD.unpack(_exactly(channel, _HEAD.size, left))
    if most is not None and length > most:
        raise EOFError(f"an answer of {length} bytes, expected at most {most}")
    try:
        answer = Answer(kind)
    except ValueError:
        raise EOFError(f"an answer of the unknown kind {kind}") from None
    return answer, bytes(_exactly(channel, length, left))


def _exactly(channel: socket.socket, length: int, left: Callable[[], float] | None) -> bytearray:
    found = bytearray()
    while len(found) < length:
        if left is not None:
            seconds = left()
            if seconds <= 0:
                raise TimeoutError
            channel.settimeout(seconds)
        part = channel.recv(min(_SLICE, length - len(found)))
        if not part:
            raise EOFError("the other side is gone")
        found += part
    return found


def send_mail(channel: socket.socket, raw: Any, limits: Mapping[str, int]) -> None:
    """Send a mail with the limits of reading it; no copy of it is made."""
    send(channel, Answer.LIMITS, json.dumps(dict(limits)).encode())
    with memoryview(raw) as view:
        send(channel, Answer.MAIL, view)


def receive_mail(channel: socket.socket) -> tuple[bytes, dict[str, int]]:
    """Receive what `send_mail` sent.

    Raises:
        EOFError: The other side is gone.
    """
    _, limits = receive(channel)
    _, raw = receive(channel)
    return raw, json.loads(limits)


class _Pickler(pickle.Pickler):
    """Leave the mail itself out: the parent has it."""

    def __init__(self, file: io.BytesIO, raw: bytes) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._raw = raw

    def persistent_id(self, obj: object) -> str | None:
        return _RAW if obj is self._raw else None


class _Unpickler(pickle.Unpickler):
    """Load values of reading, and nothing else."""

    def __init__(self, file: io.BytesIO, raw: object) -> None:
        super().__init__(file)
        self._raw = raw

    def persistent_load(self, pid: object) -> object:
        if pid != _RAW:
            raise pickle.UnpicklingError("an unknown reference")
        return self._raw

    def find_class(self, module_name: str, global_name: str) -> object:
        ours = module_name == _VALUES or module_name.startswith(f"{_VALUES}.")
        if (ours or (module_name, global_name) in _OTHERS) and "." not in global_name:
            found: object = super().find_class(module_name, global_name)
            if isinstance(found, type) and found.__module__ == module_name:
                return found
        raise pickle.UnpicklingError("a name that is no value of reading")


def dump_message(message: Message, raw: bytes) -> bytes:
    """Write a message without its mail."""
    file = io.BytesIO()
    _Pickler(file, raw).dump(message)
    return file.getvalue()


def load_message(data: bytes, raw: object) -> Message:
    """Read what `dump_message` wrote, and put the mail back.

    Raises:
        EOFError: It is no message.
    """
    try:
        message: object = _Unpickler(io.BytesIO(data), raw).load()
    except Exception as error:
        raise EOFError("the answer is no message") from error
    if isinstance(message, Message):
        return message
    raise EOFError("the answer is another value")
