"""Kill a client after so many octets went over its wire, in either direction."""

import contextlib
import os
import selectors
import signal
import socket
import threading

from mailrouting.accounts import Endpoint, TlsMode

_CHUNK = 65536


class KillingWire:
    """Stand between a client and its server; kill the client when its octets are used up.

    Half a command has arrived then, or half an answer. A context manager; one client at a time.

    Attributes:
        passed: Octets that went through since `arm`.
    """

    def __init__(self, server):
        self._server = (server.host, server.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._armed = threading.Event()
        self._victim = None
        self._left = None
        self.passed = 0
        self.killed = False

    @property
    def endpoint(self):
        return Endpoint("127.0.0.1", self._listener.getsockname()[1], TlsMode.CLEARTEXT)

    def arm(self, victim, *, octets):
        """Let this process live for so many octets more; None: for ever."""
        self._victim, self._left, self.passed, self.killed = victim, octets, 0, False
        self._armed.set()

    def disarm(self):
        """Let the next client wait until somebody is named as its victim."""
        self._armed.clear()

    def __enter__(self):
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._armed.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._armed.wait()
            with client, socket.create_connection(self._server) as server:
                for sock in (client, server):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with contextlib.suppress(OSError):
                    self._pass(client, server)

    def _pass(self, client, server):
        others = {client: server, server: client}
        with selectors.DefaultSelector() as selector:
            for sock in others:
                selector.register(sock, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(_CHUNK)
                    if not data:
                        return
                    allowed = data if self._left is None else data[: self._left - self.passed]
                    others[key.fileobj].sendall(allowed)
                    self.passed += len(allowed)
                    if len(allowed) < len(data):
                        os.kill(self._victim, signal.SIGKILL)
                        self.killed = True
                        return
