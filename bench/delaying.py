"""Stand between a client and a server: delay what they say, and count the turns.

TLS passes through. A turn is a client that speaks after it heard something; TCP's own handshake is
not seen, so it is neither delayed nor counted.
"""

import contextlib
import queue
import socket
import threading
import time
from typing import Self

__all__ = ["DelayingProxy"]

_PIECE = 64 * 1024


class DelayingProxy:
    """Pass connections on to a server on 127.0.0.1, each octet half the round-trip time later."""

    def __init__(self, port: int, *, round_trip: float) -> None:
        self._target = port
        self._half = round_trip / 2
        self._lock = threading.Lock()
        self._heard = True
        self.turns = 0
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.close()

    def count_anew(self) -> None:
        """Begin to count."""
        with self._lock:
            self.turns, self.connections, self._heard = 0, 0, True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(("127.0.0.1", self._target))
                for sock in (client, server):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pass_on(client, server, speaks=True)
                self._pass_on(server, client, speaks=False)

    def _pass_on(self, source: socket.socket, target: socket.socket, *, speaks: bool) -> None:
        pieces: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

        def read() -> None:
            data = b"-"
            while data:
                try:
                    data = source.recv(_PIECE)
                except OSError:
                    data = b""
                if speaks and data:
                    self._count()
                pieces.put((time.monotonic() + self._half, data))

        def write() -> None:
            while True:
                due, data = pieces.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not speaks:
                    # Before it is sent: the answer to it may come at once.
                    with self._lock:
                        self._heard = True
                with contextlib.suppress(OSError):
                    if not data:
                        target.shutdown(socket.SHUT_WR)
                        return
                    target.sendall(data)

        for work in (read, write):
            threading.Thread(target=work, daemon=True).start()

    def _count(self) -> None:
        with self._lock:
            self.turns += self._heard
            self._heard = False
