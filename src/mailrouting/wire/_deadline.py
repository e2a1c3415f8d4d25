"""Bound every wait and every answer: a socket that knows its deadline.

A socket's own timeout begins anew with each byte, so a server that drips holds a client for ever.
Here a command as a whole has a deadline, and so many octets to answer with.
"""

import contextlib
import io
import socket
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from mailrouting.accounts import ResolvedEndpoint, TlsMode

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["Flooded", "Timeouts", "Wire"]

_BUFFER = 64 * 1024


@attrs.frozen(kw_only=True)
class Timeouts:
    """Say how long to wait for a server, in seconds.

    Attributes:
        connect: For name, TCP, TLS and greeting together. The system's name service has its own
            limit, which nothing can shorten.
        silence: Until the next octet.
        command: For a command with its whole answer, mail bytes not counted.
        bytes_per_second: The slowest rate at which mail bytes may come; they extend `command`.
    """

    connect: float = 20.0
    silence: float = 60.0
    command: float = 60.0
    bytes_per_second: int = 16 * 1024

    def for_command(self, octets: int) -> float:
        """Return how long a command may take whose answer brings that many octets of mail."""
        return self.command + octets / self.bytes_per_second


class Flooded(Exception):  # noqa: N818 - a peer's act, mapped before it leaves this floor
    """The peer sent, or announced, more than any right answer has."""


def _nobody() -> None:
    """Hear nothing."""


class Wire:
    """Be a connected socket whose commands have a deadline and a limit of octets."""

    def __init__(self, sock: socket.socket, *, silence: float) -> None:
        self.socket: socket.socket = sock
        self.ended: bool = False
        self.closed: bool = False
        self._heard: Callable[[], None] = _nobody
        self._silence = silence
        self._deadline = time.monotonic()
        self._octets_left = 0
        self._unread = 0
        self._reader = io.BufferedReader(_Stream(self), _BUFFER)

    @classmethod
    def connect(
        cls, endpoint: ResolvedEndpoint, *, tls: ssl.SSLContext, timeouts: Timeouts
    ) -> "Wire":
        """Connect, with TLS from the first octet where the endpoint says so.

        Raises:
            OSError: The name, the network or TLS failed, or took longer than `timeouts.connect`.
        """
        deadline = time.monotonic() + timeouts.connect
        sock = _tcp(endpoint.host, endpoint.port, deadline=deadline)
        # imapclient writes a command in two pieces: without this the second waits for an ACK.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = cls(sock, silence=timeouts.silence)
        wire._deadline = deadline
        try:
            if endpoint.tls is TlsMode.IMPLICIT:
                wire._encrypt(tls, endpoint.host)
        except BaseException:
            wire.close()
            raise
        return wire

    def on_progress(self, heard: Callable[[], None] | None) -> None:
        """Call `heard` whenever octets come; None: nobody."""
        self._heard = heard or _nobody

    def allow(self, *, octets: int, seconds: float | None = None) -> None:
        """Begin a command: its answer may have that many octets, and take so long.

        Without `seconds` the deadline stays.
        """
        self._octets_left = octets
        if seconds is not None:
            self._deadline = time.monotonic() + seconds

    def read(self, size: int) -> bytes:
        """Read so many octets; fewer when the peer ends the connection."""
        if size > self._octets_left + self._unread:
            raise Flooded(f"it announced {size} octets at once")
        data = self._reader.read(size)
        self._unread -= len(data)
        return data

    def readline(self, limit: int) -> bytes:
        """Read a line with its end; without one when the peer ends the connection."""
        data = self._reader.readline(limit + 1)
        self._unread -= len(data)
        if len(data) > limit:
            raise Flooded(f"it sent a line of more than {limit} octets")
        return data

    def peek(self) -> bytes:
        """Return what has come and is not read yet; wait for the first octet.

        Empty when the peer ended the connection.
        """
        return self._reader.peek()

    def send(self, data: "ReadableBuffer") -> None:
        """Send all of it."""
        self.socket.settimeout(self._patience())
        self.socket.sendall(data)

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Encrypt from here on.

        Raises:
            Flooded: The peer sent more before TLS; it would be taken for an answer inside TLS.
            OSError: The handshake failed.
        """
        if self._unread:
            raise Flooded("it sent plain text after its answer to STARTTLS")
        self._encrypt(context, host)
        self._reader = io.BufferedReader(_Stream(self), _BUFFER)

    def close(self) -> None:
        """Close the socket at once. Idempotent."""
        self.closed = True
        with contextlib.suppress(OSError):
            self.socket.close()

    def receive_into(self, buffer: memoryview) -> int:
        """Wait for octets, until the deadline at most."""
        self.socket.settimeout(self._patience())
        count = self.socket.recv_into(buffer)
        self.ended = not count
        self._unread += count
        self._octets_left -= count
        if self._octets_left < 0:
            raise Flooded("it sent more octets than any right answer has")
        self._heard()
        return count

    def _encrypt(self, context: ssl.SSLContext, host: str) -> None:
        self.socket.settimeout(self._patience())
        self.socket = context.wrap_socket(self.socket, server_hostname=host)

    def _patience(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for this command is over")
        return min(left, self._silence)


class _Stream(io.RawIOBase):
    """Let the standard buffered reader read from a wire."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        return self._wire.receive_into(memoryview(buffer))


def _tcp(host: str, port: int, *, deadline: float) -> socket.socket:
    """Connect to the first address that answers; each gets its share of the time left."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    error: OSError = OSError("the name has no address")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        share = (deadline - time.monotonic()) / (len(addresses) - index)
        try:
            sock.settimeout(max(share, 0.001))
            sock.connect(address)
        except OSError as failure:
            sock.close()
            error = failure
        else:
            return sock
    raise error
