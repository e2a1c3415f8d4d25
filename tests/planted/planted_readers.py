"""Readers that do to their process what a mail asks them to; imported by children of `Isolation`."""

import os
import signal
from pathlib import Path

from mailrouting.reading import Helpers, read


def _recurse(depth=0):
    return _recurse(depth + 1)


def _loop():
    while True:
        pass


def _raise():
    raise ValueError("the mail's own words")


def _talk_nonsense():
    # Whatever descriptor the channel has, it is none of the first three.
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"\xff" * 64)
        except OSError:
            continue


_PLANTED = {
    b"raise": _raise,
    b"recurse": _recurse,
    b"loop": _loop,
    b"allocate": lambda: bytearray(2 << 30),
    b"segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    b"exit": lambda: os._exit(3),
    b"nonsense": _talk_nonsense,
}


def obedient(raw, *, limits, helpers):
    """Do what the subject says, then read."""
    subject = read(raw).subject or ""
    planted = _PLANTED.get(subject.encode())
    if planted is not None:
        planted()
    return read(raw, limits=limits, helpers=helpers)


def patient(raw, *, limits, helpers):
    """Read when somebody opens the named pipe that the subject waits for."""
    message = read(raw, limits=limits, helpers=helpers)
    wants, _, pipe = (message.subject or "").rpartition(" ")
    if wants == "wait for":
        Path(pipe).read_bytes()
    return message


def tells_environment(raw, *, limits, helpers):
    """Put the environment into the subject."""
    names = " ".join(sorted(os.environ))
    return read(f"Subject: {os.getpid()} {names}\r\n\r\n".encode(), limits=limits)


def guesses():
    """Return helpers that are known by what they say."""
    return Helpers(guess_charset=lambda _: "koi8-r")


def not_a_message(raw, *, limits, helpers):
    """Return what is no message."""
    return limits
