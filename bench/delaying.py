"""Stand between a client and a server: delay what they say, and count the turns.

TLS passes through. A turn is a client that speaks after it heard something; TCP's own handshake is
not seen, so it is neither delayed nor counted. For many connections at once there is a process of
its own, so that it takes nothing from the client's: `python delaying.py PORT SECONDS`.
"""

import asyncio
import contextlib
import queue
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Self

__all__ = ["DelayingProxy", "delaying_process"]

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


@contextlib.contextmanager
def delaying_process(port: int, *, round_trip: float) -> Iterator[int]:
    """Delay connections to a server on 127.0.0.1 in another process; yield where to connect."""
    command = [sys.executable, __file__, str(port), str(round_trip)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()  # it ends when nobody is left to tell it anything


class _Delayed(asyncio.Protocol):
    """Be one end of a connection: what is heard here is said at the other end, a while later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: deque[Callable[[], object]] = deque()
        self.transport: asyncio.Transport | None = None
        self.other: _Delayed | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # asyncio sets TCP_NODELAY itself
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._later(lambda: self._say(data))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._later(self._part)

    def _later(self, work: Callable[[], object]) -> None:
        # Whichever timer comes first does what was asked for first.
        self._due.append(work)
        asyncio.get_running_loop().call_later(self._seconds, self._do_next)

    def _do_next(self) -> None:
        self._due.popleft()()

    def _say(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def _part(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


async def _serve(port: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    opening: set[asyncio.Task[None]] = set()

    class Accepted(_Delayed):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            assert self.transport is not None
            self.transport.pause_reading()
            task = loop.create_task(self._reach())
            opening.add(task)
            task.add_done_callback(opening.discard)

        async def _reach(self) -> None:
            _, other = await loop.create_connection(lambda: _Delayed(seconds), "127.0.0.1", port)
            self.other, other.other = other, self
            assert self.transport is not None
            self.transport.resume_reading()

    server = await loop.create_server(lambda: Accepted(seconds), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = loop.create_future()
    loop.add_reader(sys.stdin, lambda: ended.done() or ended.set_result(None))
    await ended


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 2))
