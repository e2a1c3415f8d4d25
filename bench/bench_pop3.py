"""Fetch by POP3 over a slow line and delete, ours beside poplib's way: `make bench-pop3`.

`session`: our session alone lists, reads, deletes and leaves. `fetch`: a whole run, from the login to
committed tickets in SQLite (WAL, synchronous=FULL), and the acknowledgement. `poplib`: RETR and DELE for
each mail, as programs with poplib do; with fewer mails, counted up. Turns are counted by a proxy that
delays each way by half of the round-trip time; TCP's own handshake is not among them.
"""

import argparse
import platform
import poplib
import secrets
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
from delaying import DelayingProxy

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
from mailrouting.connect import StaticCredentials, opener, tls_context
from mailrouting.directory import Directory
from mailrouting.fetch import Fetcher
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.session import SessionOpener
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import FakeMailServer
from mailrouting.testing.loopback import LoopbackPop3

from mails import small

ROOT = Path(__file__).parent.parent
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where a bench keeps what it measures
HOST = "127.0.0.1"
PASSWORD = "pw"  # noqa: S105 - of a fake
SAMPLE = 20
MOST_TURNS = 50
sys.path += [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "servers")]


@attrs.frozen
class Server:
    """Say where a server is, how it is opened, and what fills a mailbox of it."""

    name: str
    fill: Callable[[str, list[bytes]], None]
    port: int
    tls: TlsMode
    context: ssl.SSLContext
    password: str


@attrs.frozen
class Job:
    """Say what is to be fetched: a fresh mailbox behind a slow line."""

    server: Server
    proxy: DelayingProxy
    user: str
    count: int
    folder: Path

    def account(self) -> EmailAccount:
        """Return an account that deletes what it took in."""
        return EmailAccount(
            id="help",
            address=NamedAddress.parse("help@example.com"),
            inbound=InboundSettings(
                protocol=MailProtocol.POP3,
                endpoint=Endpoint(HOST, self.proxy.port, self.server.tls),
                login=parse_login(self.user),
                first_run=FirstRun.all(),
                max_per_fetch=self.count,
                processed=AfterFetch.delete(),
            ),
        )

    def opener(self) -> SessionOpener:
        """Return what opens our session."""
        credentials = StaticCredentials({"help": self.server.password})
        return opener(credentials, tls=self.server.context)


@contextmanager
def servers() -> Iterator[list[Server]]:
    """Start what there is: the fake in plain text, and Dovecot with TLS."""
    import dovecot

    with ExitStack() as stack:
        fake = FakeMailServer()
        face = stack.enter_context(LoopbackPop3(fake))

        def fill_fake(user: str, mails: list[bytes]) -> None:
            fake.add_mailbox(user, password=PASSWORD)
            for raw in mails:
                fake.deliver(raw, to=user)

        found = [
            Server("fake, plain", fill_fake, face.port, TlsMode.CLEARTEXT, tls_context(), PASSWORD)
        ]
        program = dovecot.find_dovecot()
        if program is not None:
            real = stack.enter_context(dovecot.running(program))

            def fill_real(user: str, mails: list[bytes]) -> None:
                with real.client(user) as client:
                    for raw in mails:
                        client.append("INBOX", "", "", raw)

            context = tls_context(real.ca_file)
            port = real.pop3_tls_port
            found.append(
                Server("Dovecot, TLS", fill_real, port, TlsMode.IMPLICIT, context, real.password)
            )
        yield found


def session(job: Job) -> None:
    """Read and delete all with our session."""
    opened = job.opener()(job.account())
    opened.open_folder("INBOX", writable=True)
    count = 0
    for window in opened.list_uids():
        count += len(list(opened.read(window)))
        opened.delete(window)
    opened.close()
    if count != job.count:
        raise SystemExit(f"session: {count} mails")


def fetch(job: Job) -> None:
    """Run a fetcher once."""
    path = job.folder / f"{job.user}.sqlite"
    with SqliteStorage(path) as storage:
        fetcher = Fetcher(
            accounts=Directory(accounts=(job.account(),)),
            storage=storage,
            desk=SqliteDesk(path),
            open_session=job.opener(),
            clock=lambda: datetime.now(UTC),
        )
        report = fetcher.run("help")
    if report.error is not None or len(report.converted) != job.count:
        raise SystemExit(f"fetch: {report}")


def with_poplib(job: Job) -> None:
    """Read and delete mail by mail."""
    server, proxy = job.server, job.proxy
    if server.tls is TlsMode.IMPLICIT:
        client = poplib.POP3_SSL(HOST, proxy.port, context=server.context)
    else:
        client = poplib.POP3(HOST, proxy.port)
    client.user(job.user)
    client.pass_(server.password)
    for number in range(1, len(client.list()[1]) + 1):
        client.retr(number)
        client.dele(number)
    client.quit()


def timed(
    work: Callable[[Job], None], server: Server, *, count: int, rtt: float, folder: Path
) -> tuple[float, DelayingProxy]:
    """Return seconds, and the line with its counts, of one piece of work on a fresh mailbox."""
    user = f"u{secrets.token_hex(4)}@example.com"
    server.fill(user, small(count))
    with DelayingProxy(server.port, round_trip=rtt) as proxy:
        began = time.perf_counter()
        work(Job(server, proxy, user, count, folder))
        return time.perf_counter() - began, proxy


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description="Fetch by POP3 over a slow line.")
    parser.add_argument("--mails", type=int, default=500)
    parser.add_argument("--rtt", type=float, default=0.05, help="seconds, 0.05 if not given")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    count, rtt = arguments.mails, arguments.rtt
    print(f"Python {platform.python_version()}, {count} mails, {rtt * 1000:.0f} ms round-trip time")
    memory = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with servers() as found, tempfile.TemporaryDirectory(dir=memory) as name:
        folder = Path(name)
        for server in found:
            seconds, line = timed(with_poplib, server, count=SAMPLE, rtt=rtt, folder=folder)
            slow, turns = seconds / SAMPLE * count, line.turns + 2 * (count - SAMPLE)
            print(f"\n{server.name}\n  poplib   {slow:7.2f} s {turns:5d} turns (counted up)")
            for work in (session, fetch):
                rounds = [
                    timed(work, server, count=count, rtt=rtt, folder=folder)
                    for _ in range(arguments.rounds)
                ]
                median = statistics.median(seconds for seconds, _ in rounds)
                turns = max(line.turns for _, line in rounds)
                verdict = "ok" if turns <= MOST_TURNS else f"MORE THAN {MOST_TURNS}"
                print(
                    f"  {work.__name__:<8} {median:7.2f} s {turns:5d} turns on "
                    f"{rounds[0][1].connections} connections ({verdict}), {slow / median:.0f} x poplib"
                )


if __name__ == "__main__":
    main()
