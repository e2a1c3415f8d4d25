"""Serve one client of the fake mail server over a socket, in whichever protocol."""

import abc
import contextlib
import socket
import ssl

from mailrouting.testing._server_state import Dropped, ServerState, Silence

__all__ = ["Peer"]


class Peer(abc.ABC):
    """Serve one connection until it ends.

    Attributes:
        LONGEST_LINE: Octets of a line that is read; a client that sends more is dropped.
    """

    LONGEST_LINE: int

    def __init__(
        self,
        state: ServerState,
        sock: socket.socket,
        *,
        starttls: ssl.SSLContext | None,
    ) -> None:
        self._state = state
        self._sock = sock
        self._file = sock.makefile("rb")
        self._starttls = starttls
        self._number = 0
        self._out: list[bytes] = []
        self._open = True

    def serve(self) -> None:
        """Greet, and answer commands until the client or a fault ends it."""
        try:
            self._number = self._state.begin_session()
            self._say(self._greeting())
            self._flush()
            while self._open:
                self._serve_command()
        except Dropped:
            self._flush_half()
        except Silence:
            self._wait_for_the_end()
        except (OSError, ValueError):
            pass
        finally:
            self._state.end_session(self._number)
            self._file.close()
            with contextlib.suppress(OSError):
                self._sock.close()

    @abc.abstractmethod
    def _greeting(self) -> str:
        """Return the first line."""

    @abc.abstractmethod
    def _serve_command(self) -> None:
        """Read a command, carry it out and answer it."""

    def _raw_line(self) -> bytes:
        """Read a line with its end."""
        line = self._file.readline(self.LONGEST_LINE)
        if not line.endswith(b"\r\n"):
            raise Dropped
        return line

    def _say(self, line: str) -> None:
        self._out.append(line.encode() + b"\r\n")

    def _flush(self) -> None:
        out = b"".join(self._out)
        self._out.clear()
        self._sock.sendall(out)

    def _flush_half(self) -> None:
        """Let a connection end in the middle of what was being said."""
        out = b"".join(self._out)
        with contextlib.suppress(OSError):
            self._sock.sendall(out[: len(out) // 2])

    def _wait_for_the_end(self) -> None:
        """Say nothing; read until the client goes."""
        with contextlib.suppress(OSError):
            while self._file.read(self.LONGEST_LINE):
                pass

    def _begin_tls(self) -> None:
        """Go on in TLS, where that was agreed."""
        if self._starttls is not None:
            self._sock = self._starttls.wrap_socket(self._sock, server_side=True)
            self._file = self._sock.makefile("rb")
            self._starttls = None
