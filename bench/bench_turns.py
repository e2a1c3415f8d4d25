"""Count the turns of a fetch over TLS at a simulated round-trip time: `make bench-turns`.

A delaying proxy of our own stands between client and local Dovecot. The floor is what any client
needs at least: all commands in two flights, nothing parsed, nothing stored. The slow loop has the
shape of django-helpdesk's: a FETCH and a STORE for each mail, nothing parsed or stored either.
Nothing is asserted.
"""

import argparse
import imaplib
import itertools
import os
import platform
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from delaying import DelayingProxy

from mails import small

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "servers")]
HOST = "127.0.0.1"
PASSWORD = "dovecot-marker-5f1c"  # noqa: S105 - the test server's
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where a bench keeps what it measures
NAMES = (f"bench{number}@turns.example" for number in itertools.count())


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description="Count the turns of a fetch.")
    parser.add_argument("--mails", type=int, default=500, help="new mails, 500 if not given")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, 5 if not given")
    parser.add_argument("--milliseconds", type=int, default=50, help="round-trip time")
    parser.add_argument("--polls", type=int, default=200, help="idle polls to weigh")
    parser.add_argument(
        "--state", default=SHARED_MEMORY, type=Path, help="where the SQLite file is"
    )
    parser.add_argument("--no-loop", action="store_true", help="leave out the slow loop")
    arguments = parser.parse_args()
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}, TLS, {arguments.milliseconds} ms\n"
        f"state in {arguments.state}, WAL, synchronous=FULL"
    )
    with dovecot() as server:
        bench = Bench(server, arguments.milliseconds / 1000, arguments.state)
        _print_new(bench, arguments)
        _print_idle(bench, arguments)
        _print_cpu(bench, arguments.polls)


@contextmanager
def dovecot(settings: str = "") -> Iterator[Any]:
    """Run the tests' Dovecot, perhaps with further settings."""
    import dovecot as servers

    program = servers.find_dovecot()
    if program is None:
        raise SystemExit("Dovecot is not installed: make servers")
    memory = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with servers.running(program, folder=memory, settings=settings) as one:
        yield one


class Reached:
    """Hold the client's TLS context: as much of a `Bench` as another process needs."""

    def __init__(self, ca_file: str) -> None:
        from mailrouting.connect import tls_context

        self.tls = tls_context(ca_file)


class Bench(Reached):
    """Hold the server and the client's TLS context."""

    def __init__(self, server: Any, round_trip: float, state: Path | None = None) -> None:
        super().__init__(server.ca_file)
        self.state = state
        self.server = server
        self.round_trip = round_trip

    def mailbox(self, mails: list[bytes]) -> str:
        """Fill a new mailbox; return its name."""
        from crashing.servers import DovecotMailbox

        box = DovecotMailbox(self.server, next(NAMES))
        box.deliver(*mails)
        with imaplib.IMAP4(HOST, self.server.port) as client:
            client.login(box.name, PASSWORD)
            client.create("Done")
            client.select("INBOX")  # the index is made
        return box.name

    def timed(self, work: Callable[[int], object]) -> tuple[float, int]:
        """Run work on the delayed port; return seconds and turns."""
        with DelayingProxy(self.server.tls_port, round_trip=self.round_trip) as proxy:
            started = time.perf_counter()
            work(proxy.port)
            return time.perf_counter() - started, proxy.turns


def fetcher(bench: Reached, name: str, port: int, folder: Path, *, move: bool = True) -> Any:
    """Return our fetcher for a mailbox, its store and its desk on disk."""
    from mailrouting.accounts import (
        AfterFetch,
        EmailAccount,
        Endpoint,
        FirstRun,
        InboundSettings,
        TlsMode,
    )
    from mailrouting.addresses import NamedAddress
    from mailrouting.auth import MailProtocol, parse_login
    from mailrouting.connect import StaticCredentials, opener
    from mailrouting.directory import Directory
    from mailrouting.fetch import Fetcher
    from mailrouting.integrations.sqlite_desk import SqliteDesk
    from mailrouting.stores.sqlite import SqliteStorage

    inbound = InboundSettings(
        protocol=MailProtocol.IMAP,
        endpoint=Endpoint(HOST, port, TlsMode.IMPLICIT),
        login=parse_login(name),
        first_run=FirstRun.all(),
        max_per_fetch=100_000,
        processed=AfterFetch.move("Done") if move else AfterFetch.keep(),
    )
    account = EmailAccount(
        id="help", address=NamedAddress.parse("help@example.com"), inbound=inbound
    )
    path = folder / f"{name}.sqlite"
    return Fetcher(
        accounts=Directory(accounts=(account,)),
        storage=SqliteStorage(path),
        desk=SqliteDesk(path),
        open_session=opener(StaticCredentials({"help": PASSWORD}), tls=bench.tls),
        clock=lambda: datetime.now(UTC),
    )


def with_floor(bench: Reached, name: str, port: int, count: int) -> None:
    """Fetch all and move it in two flights."""
    with (
        socket.create_connection((HOST, port)) as plain,
        bench.tls.wrap_socket(plain, server_hostname=HOST) as sock,
    ):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.recv(10_000)
        sock.sendall(
            f"a LOGIN {name} {PASSWORD}\r\nb SELECT INBOX\r\n"
            "c UID SEARCH RETURN (SAVE) UNDELETED\r\n"
            "d UID FETCH $ (RFC822.SIZE BODY.PEEK[])\r\n".encode()
        )
        _until(sock, b"\r\nd OK")
        sock.sendall(b"e UID MOVE $ Done\r\nf LOGOUT\r\n")
        _until(sock, b"\r\nf OK")
    del count


def _until(sock: ssl.SSLSocket, end: bytes) -> None:
    tail = b""
    while end not in tail:
        piece = sock.recv(1 << 20)
        if not piece:
            raise SystemExit(f"the server hung up: {tail[-200:]!r}")
        tail = tail[-40:] + piece


def with_loop(bench: Bench, name: str, port: int, count: int) -> None:
    """Fetch and mark one mail after the other."""
    client = imaplib.IMAP4_SSL(HOST, port, ssl_context=bench.tls)
    client.login(name, PASSWORD)
    client.select("INBOX")
    numbers = client.search(None, "NOT", "DELETED")[1][0].split()
    assert len(numbers) == count
    for number in numbers:
        client.fetch(number, "(RFC822)")
        client.store(number, "+FLAGS", r"\Deleted")
    client.expunge()
    client.close()
    client.logout()


def _print_new(bench: Bench, arguments: argparse.Namespace) -> None:
    mails = small(arguments.mails)
    times: dict[str, list[tuple[float, int]]] = {"floor": [], "mailrouting": [], "loop": []}

    def ours(name: str, port: int, count: int) -> None:
        with tempfile.TemporaryDirectory(prefix="mr-bench-", dir=bench.state) as folder:
            fetching = fetcher(bench, name, port, Path(folder))
            report = fetching.run("help")
            if report.error is not None or report.acknowledged != count:
                raise SystemExit(f"mailrouting: {report}")
            fetching.storage.close()

    for number in range(arguments.rounds):
        for kind in ("floor", "mailrouting", *(["loop"] * (number == 0 and not arguments.no_loop))):
            name = bench.mailbox(mails)
            if kind == "mailrouting":
                found = bench.timed(lambda port, name=name: ours(name, port, len(mails)))
            else:
                work = with_floor if kind == "floor" else with_loop
                found = bench.timed(
                    lambda port, name=name, work=work: work(bench, name, port, len(mails))
                )
            times[kind].append(found)
    print(f"\n{len(mails)} new mails, login to logout, MOVE")
    floor = statistics.median(seconds for seconds, _ in times["floor"])
    for kind, found in times.items():
        if found:
            seconds = statistics.median(second for second, _ in found)
            turns = statistics.median(turn for _, turn in found)
            print(
                f"  {kind:12} {seconds:8.3f} s  {turns:6.0f} turns  {seconds / floor:7.2f} x floor"
            )
    if times["loop"]:
        own = statistics.median(seconds for seconds, _ in times["mailrouting"])
        print(f"  the loop takes {times['loop'][0][0] / own:.1f} times as long as we (asked >= 40)")
    print("  asked: <= 14 turns, <= 3 x floor")


def _print_idle(bench: Bench, arguments: argparse.Namespace) -> None:
    print("\nNothing new: turns on a new TLS connection, through the fetcher")
    for what, mails in (("empty folder, moved", []), ("10 known mails, kept", small(10))):
        name = bench.mailbox(mails)
        with tempfile.TemporaryDirectory(prefix="mr-bench-", dir=bench.state) as folder:
            direct = fetcher(bench, name, bench.server.tls_port, Path(folder), move=not mails)
            assert direct.run("help").error is None
            direct.storage.close()
            found = []
            for _ in range(arguments.rounds):

                def poll(
                    port: int, *, name: str = name, folder: str = folder, move: bool = not mails
                ) -> None:
                    again = fetcher(bench, name, port, Path(folder), move=move)
                    report = again.run("help")
                    assert report.error is None, report
                    again.storage.close()

                found.append(bench.timed(poll))
        print(
            f"  {what:24} {statistics.median(turn for _, turn in found):4.0f} turns"
            f" {statistics.median(second for second, _ in found):8.3f} s   asked <= 6"
        )
    with DelayingProxy(bench.server.tls_port, round_trip=bench.round_trip) as proxy:
        session = _session(bench, bench.mailbox(small(10)), proxy.port)
        session.open_folder("INBOX", writable=True)
        list(session.list_uids())
        proxy.count_anew()
        assert not session.check()
        print(f"  {'kept connection':24} {proxy.turns:4} turns              asked 1")
        session.close()


def _session(bench: Bench, name: str, port: int) -> Any:
    with tempfile.TemporaryDirectory(prefix="mr-bench-", dir=bench.state) as folder:
        fetching = fetcher(bench, name, port, Path(folder))
        session = fetching.open_session(fetching.accounts.accounts[0])
        fetching.storage.close()
    return session


def _print_cpu(bench: Bench, polls: int) -> None:
    """Weigh one poll that finds nothing new: processor time of the client alone."""
    from imapclient import IMAPClient

    name, port = bench.mailbox([]), bench.server.tls_port

    def ours() -> None:
        session = _open()
        session.open_folder("INBOX", writable=True)
        list(session.list_uids())
        session.close()

    with tempfile.TemporaryDirectory(prefix="mr-bench-", dir=bench.state) as folder:
        fetching = fetcher(bench, name, port, Path(folder))
        account = fetching.accounts.accounts[0]

        def _open() -> Any:
            return fetching.open_session(account)

        def theirs() -> None:
            client = IMAPClient(HOST, port, ssl_context=bench.tls)
            client.login(name, PASSWORD)
            client.select_folder("INBOX")
            client.search("UNSEEN")
            client.logout()

        def whole() -> None:
            assert fetching.run("help").error is None

        kinds = {"imapclient, shared context": theirs, "our session": ours, "our fetcher": whole}
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for work in kinds.values():
            work()
        for _ in range(polls):
            for kind, work in kinds.items():
                started = time.process_time()
                work()
                times[kind].append(time.process_time() - started)
        fetching.storage.close()
    print(f"\nProcessor time of a TLS poll that finds nothing new ({polls} polls)")
    base = times["imapclient, shared context"]
    for kind, found in times.items():
        ratio = statistics.median(a / b for a, b in zip(found, base, strict=True))
        print(f"  {kind:28} {statistics.median(found) * 1000:6.2f} ms   x {ratio:.2f}")
    print("  asked: <= 1.3 times imapclient with a shared context")


if __name__ == "__main__":
    main()
