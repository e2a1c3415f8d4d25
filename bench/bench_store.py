"""Time the SQLite store beside bare sqlite3 that writes the same rows: `make bench-store`.

Milliseconds a mail for put, claim and conclude, in batches as `Fetcher` makes them, medians of some
runs. Bare sqlite3 keeps no promise: no lease, no claim, no guard, no attempts; it commits as often,
with the same durability. Nothing is asserted.
"""

import argparse
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from mailrouting.reading import identify
from mailrouting.records import Conclusion, IntakeMail
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import _kit as kit

PUT, CLAIM = 100, 50
PRAGMAS = ("journal_mode", "synchronous", "fullfsync", "foreign_keys")
STEPS = ("put", "claim", "conclude")

Times = dict[str, float]


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description="Time the SQLite store.")
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--disk", default=".", help="a folder on a disk")
    arguments = parser.parse_args()
    mails = [_mail(number) for number in range(arguments.mails)]
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" load {os.getloadavg()[0]:.1f}, {len(mails)} mails of {len(mails[0].raw)} octets,"
        f" put by {PUT}, claimed by {CLAIM}, medians of {arguments.runs}"
    )
    for name, place in (("tmpfs", "/dev/shm"), ("disk", arguments.disk)):  # noqa: S108 - the tmpfs is the point
        if not Path(place).is_dir():
            continue
        runs: dict[str, list[Times]] = {"ours": [], "bare": []}
        for _ in range(arguments.runs):
            for who, run in (("ours", _ours), ("bare", _bare)):
                with tempfile.TemporaryDirectory(prefix="mr-bench-", dir=place) as folder:
                    runs[who].append(run(Path(folder) / "mail.db", mails))
        print(f"{name}: {_settings(place)}")
        for step in (*STEPS, "all"):
            ours, bare = (_median(runs[who], step) / len(mails) * 1e3 for who in ("ours", "bare"))
            print(
                f"  {step:9} ours {ours:7.3f} ms a mail, bare {bare:7.3f}, ratio {ours / bare:5.1f}"
                f", {1e3 / ours:7.0f} a second"
            )


def _median(runs: list[Times], step: str) -> float:
    return statistics.median(
        sum(times.values()) if step == "all" else times[step] for times in runs
    )


def _settings(place: str) -> str:
    """Return the durability settings of the connection that commits."""
    found: list[str] = []

    def look(tx: sqlite3.Connection) -> None:
        found.extend(f"{name}={tx.execute(f'PRAGMA {name}').fetchone()[0]}" for name in PRAGMAS)

    with (
        tempfile.TemporaryDirectory(dir=place) as folder,
        SqliteStorage(Path(folder) / "mail.db") as storage,
    ):
        kit.put(storage, 1)
        storage.conclude(kit.claim_one(storage), lambda tx: look(tx) or kit.conclusion(1))
    return ", ".join(found)


def _mail(number: int) -> IntakeMail:
    raw = (
        f"Received: by mx id {number}\r\nMessage-ID: <{number}@example.org>\r\n"
        "From: Ann <ann@example.org>\r\nSubject: Printer\r\n\r\n"
    ).encode() + b"It does not print any more.\r\n" * 100
    return IntakeMail(
        account_id=kit.ACCOUNT, raw=raw, identity=identify(raw), position=kit.position(number)
    )


def _timed(times: Times, step: str, run: Callable[[], object]) -> None:
    began = time.perf_counter()
    run()
    times[step] = time.perf_counter() - began


def _ours(path: Path, mails: list[IntakeMail]) -> Times:
    times: Times = {}
    claims = []
    with SqliteStorage(path) as storage:
        lease = kit.opened(storage)
        with closing(sqlite3.connect(path)) as host, host:
            host.execute("CREATE TABLE ticket (id INTEGER)")

        def put() -> None:
            for start in range(0, len(mails), PUT):
                storage.intake_put(mails[start : start + PUT], lease=lease, now=kit.NOW)

        def claim() -> None:
            while some := kit.claim(storage, limit=CLAIM):
                claims.extend(some)

        def conclude() -> None:
            for number, claimed in enumerate(claims):
                storage.conclude(claimed, _ticket(number))

        for step, run in zip(STEPS, (put, claim, conclude), strict=True):
            _timed(times, step, run)
    return times


def _ticket(number: int) -> Callable[[sqlite3.Connection], Conclusion]:
    """Return a write that stores one row of the host's."""
    ended = kit.conclusion(number)

    def write(tx: sqlite3.Connection) -> Conclusion:
        tx.execute("INSERT INTO ticket VALUES (?)", (number,))
        return ended

    return write


def _bare(path: Path, mails: list[IntakeMail]) -> Times:
    times: Times = {}
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON"):
            db.execute(f"PRAGMA {pragma}")
        db.execute(
            "CREATE TABLE mail (id INTEGER PRIMARY KEY, account TEXT, fingerprint TEXT, delivery"
            " TEXT, content TEXT, state TEXT, raw BLOB, outcome TEXT, UNIQUE (account, fingerprint))"
        )
        db.execute("CREATE TABLE thread (message_id TEXT PRIMARY KEY, ticket TEXT)")
        db.execute("CREATE TABLE ticket (id INTEGER)")

        def put() -> None:
            for start in range(0, len(mails), PUT):
                db.execute("BEGIN IMMEDIATE")
                db.executemany(
                    "INSERT INTO mail (account, fingerprint, delivery, content, state, raw)"
                    " VALUES (?, ?, ?, ?, 'waiting', ?)",
                    [
                        (
                            mail.account_id,
                            mail.identity.fingerprint,
                            mail.identity.delivery,
                            mail.identity.content,
                            mail.raw,
                        )
                        for mail in mails[start : start + PUT]
                    ],
                )
                db.execute("COMMIT")

        def claim() -> None:
            for start in range(1, len(mails) + 1, CLAIM):
                chosen = start, start + CLAIM
                db.execute("BEGIN IMMEDIATE")
                db.execute("UPDATE mail SET state = 'claimed' WHERE id >= ? AND id < ?", chosen)
                db.execute("SELECT * FROM mail WHERE id >= ? AND id < ?", chosen).fetchall()
                db.execute("COMMIT")

        def conclude() -> None:
            for number in range(len(mails)):
                db.execute("BEGIN IMMEDIATE")
                db.execute("INSERT INTO ticket VALUES (?)", (number,))
                db.execute(
                    "UPDATE mail SET state = 'done', outcome = ? WHERE id = ?",
                    ("a new matter", number + 1),
                )
                thread = f"{number}@example.org", f"T{number}"
                db.execute("INSERT INTO thread VALUES (?, ?)", thread)
                db.execute("COMMIT")

        for step, run in zip(STEPS, (put, claim, conclude), strict=True):
            _timed(times, step, run)
    return times


if __name__ == "__main__":
    main()
