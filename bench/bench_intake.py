"""Time the way from a mailbox to committed tickets: the fake server in this process, SQLite on tmpfs.

Each round takes a fresh mailbox of small mails through collect, convert and acknowledge, with
`SqliteStorage` and `SqliteDesk` in one file. Beside it, in the same run, stands what nobody can do
without: a commit of one row for each ticket in the same file. Nothing is asserted.
"""

import argparse
import cProfile
import platform
import pstats
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from mailrouting.accounts import AfterFetch, EmailAccount, Endpoint, FirstRun, InboundSettings
from mailrouting.addresses import NamedAddress
from mailrouting.auth import MailProtocol, parse_login
from mailrouting.directory import Directory
from mailrouting.fetch import Fetcher
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import FakeMailServer

from mails import small

ADDRESS = "help@desk.example"
ACCOUNT = EmailAccount(
    id="help",
    address=NamedAddress.parse(ADDRESS),
    inbound=InboundSettings(
        protocol=MailProtocol.IMAP,
        endpoint=Endpoint("mail.desk.example"),
        login=parse_login(ADDRESS),
        first_run=FirstRun.all(),
        processed=AfterFetch.move("Done"),
        max_per_fetch=100_000,
    ),
)


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description="Time intake into SQLite.")
    parser.add_argument("--mails", type=int, default=2000, help="mails a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where the file is")  # noqa: S108 - tmpfs is the point
    parser.add_argument("--profile", action="store_true", help="show where the time goes")
    arguments = parser.parse_args()
    mails = _distinct(arguments.mails)
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {arguments.folder}"
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.profile:
            with cProfile.Profile() as profile:
                _intake(Path(folder) / "profiled.db", mails)
            pstats.Stats(profile).sort_stats("tottime").print_stats(45)
            return
        rates, floors = [], []
        for number in range(arguments.rounds):
            floors.append(len(mails) / _floor(Path(folder) / f"floor{number}.db", len(mails)))
            rates.append(len(mails) / _intake(Path(folder) / f"intake{number}.db", mails))
            print(f"round {number}: {rates[-1]:7.0f} tickets/s, bare commits {floors[-1]:7.0f}/s")
    ratio = statistics.median(rate / floor for rate, floor in zip(rates, floors, strict=True))
    print(f"median: {statistics.median(rates):.0f} tickets/s, {ratio:.2f} of bare commits")


def _distinct(count: int) -> list[bytes]:
    mails = small(min(count, 400))
    return [
        b"X-Number: %d\r\n" % number
        + mails[number % len(mails)].replace(b"Message-ID: <", b"Message-ID: <%d." % number, 1)
        for number in range(count)
    ]


def _intake(path: Path, mails: list[bytes]) -> float:
    server = FakeMailServer()
    server.add_mailbox(ADDRESS)
    for raw in mails:
        server.deliver(raw, to=ADDRESS)
    with SqliteStorage(path) as storage:
        fetcher = Fetcher(
            accounts=Directory(accounts=(ACCOUNT,)),
            storage=storage,
            desk=SqliteDesk(path),
            open_session=server.open_session,
            clock=lambda: datetime.now(UTC),
        )
        begun = time.process_time()
        report = fetcher.run("help")
        seconds = time.process_time() - begun
    done = len(server.mails(ADDRESS, "Done"))
    if report.error or report.acknowledged != len(mails) or done != len(mails):
        raise SystemExit(f"the run is not whole: {report.because}, {report.outcomes}")
    return seconds


def _floor(path: Path, count: int) -> float:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("create table ticket (id integer primary key, subject text)")
        begun = time.process_time()
        for number in range(count):
            connection.execute("begin immediate")
            connection.execute("insert into ticket (subject) values (?)", (str(number),))
            connection.execute("commit")
        return time.process_time() - begun


if __name__ == "__main__":
    main()
