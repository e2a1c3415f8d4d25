"""Let real clients speak to the fake mail server, over loopback only."""

import abc
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from mailrouting.accounts import Endpoint, TlsMode
from mailrouting.testing._imap_peer import ImapPeer
from mailrouting.testing._peer import Peer
from mailrouting.testing._pop3_peer import Pop3Peer
from mailrouting.testing.server import FakeMailServer

__all__ = ["LoopbackImap", "LoopbackPop3"]

_SILENCE_SECONDS = 30.0
_HOST = "127.0.0.1"


class _Loopback(abc.ABC):
    """Listen on 127.0.0.1, and serve each client in a thread of its own."""

    host = _HOST

    def __init__(
        self,
        server: FakeMailServer,
        *,
        tls: ssl.SSLContext | None = None,
        starttls: bool = False,
    ) -> None:
        self._server = server
        self._tls = tls
        self._starttls = starttls
        self._listener: socket.socket | None = None
        self._closing = False
        self._lock = threading.Lock()
        self._clients: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def __repr__(self) -> str:
        state = "stopped" if self._listener is None else f"port {self.port}"
        return f"<{type(self).__name__} of {self._server!r}: {state}>"

    @property
    def port(self) -> int:
        """Return the port it listens on.

        Raises:
            RuntimeError: Outside the with block.
        """
        if self._listener is None:
            raise RuntimeError("the server listens only inside its with block")
        return int(self._listener.getsockname()[1])

    @property
    def endpoint(self) -> Endpoint:
        """Return where it is, for an account's settings.

        Raises:
            RuntimeError: Outside the with block.
        """
        mode = TlsMode.STARTTLS if self._starttls else TlsMode.IMPLICIT
        return Endpoint(self.host, self.port, TlsMode.CLEARTEXT if self._tls is None else mode)

    def __enter__(self) -> Self:
        self._closing = False
        self._listener = socket.create_server((_HOST, 0))
        self._start(partial(self._accept, self._listener))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        with self._lock:
            self._closing = True
            for client in self._clients:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
        # Wakes accept() on every system; closing the listener does not.
        with contextlib.suppress(OSError), socket.create_connection((_HOST, self.port)):
            pass
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._listener.close()
        self._listener = None

    @abc.abstractmethod
    def _peer(self, sock: socket.socket, *, starttls: ssl.SSLContext | None) -> Peer:
        """Return what speaks the protocol."""

    def _accept(self, listener: socket.socket) -> None:
        while True:
            sock, _ = listener.accept()
            with self._lock:
                if self._closing:
                    sock.close()
                    return
                self._start(partial(self._serve, sock))

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(_SILENCE_SECONDS)
        # TLS takes the socket over; a duplicate ends the connection from another thread.
        with plain.dup() as handle:
            with self._lock:
                self._clients.add(handle)
            try:
                if self._tls is None or self._starttls:
                    self._peer(plain, starttls=self._tls).serve()
                else:
                    with self._tls.wrap_socket(plain, server_side=True) as encrypted:
                        self._peer(encrypted, starttls=None).serve()
            except OSError:
                pass  # The client broke off the handshake; its own side says why.
            finally:
                with self._lock:
                    self._clients.discard(handle)
                plain.close()


class LoopbackImap(_Loopback):
    """Serve a `FakeMailServer` by IMAP4rev1 on 127.0.0.1, at a port that the system chooses.

    A context manager: its threads have ended when the block has. Faults of the server strike
    here too: a dropped connection ends in the middle of the answer.

    >>> import imaplib
    >>> server = FakeMailServer()
    >>> server.add_mailbox("help@example.org", password="pw")
    >>> with LoopbackImap(server) as imap, imaplib.IMAP4(imap.host, imap.port) as client:
    ...     client.login("help@example.org", "pw")[0]
    'OK'

    Args:
        server: Whose mailboxes are served.
        tls: A server's context: TLS from the start, or after STARTTLS.
        starttls: Begin in plain text, and take no login before STARTTLS.
    """

    def _peer(self, sock: socket.socket, *, starttls: ssl.SSLContext | None) -> Peer:
        return ImapPeer(self._server.state, sock, starttls=starttls)


class LoopbackPop3(_Loopback):
    """Serve a `FakeMailServer` by POP3 on 127.0.0.1, at a port that the system chooses.

    A context manager, as `LoopbackImap`, and with the same faults. Each login sees the INBOX of its
    mailbox; deletions are done at QUIT.

    >>> import poplib
    >>> server = FakeMailServer()
    >>> server.add_mailbox("help@example.org", password="pw")
    >>> with LoopbackPop3(server) as pop3:
    ...     client = poplib.POP3(pop3.host, pop3.port)
    ...     client.user("help@example.org"), client.pass_("pw"), client.quit()
    (b'+OK send PASS', b'+OK logged in', b'+OK until next time')

    Args:
        server: Whose mailboxes are served.
        tls: A server's context: TLS from the start, or after STLS.
        starttls: Begin in plain text, and take no login before STLS.
    """

    def _peer(self, sock: socket.socket, *, starttls: ssl.SSLContext | None) -> Peer:
        return Pop3Peer(self._server.state, sock, starttls=starttls)
