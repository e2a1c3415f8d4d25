"""Time whole fetches beside others in one run, from a local Dovecot to stored tickets: `make bench-fetch`.

In every round each program gets a fresh mailbox and a fresh process, in rotated order; a ratio is the
median of the rounds' ratios. Nothing is asserted. The others keep less: no raw mail, no attempt, no
outcome, no position, and what dies in their middle is lost or doubled.
"""

import argparse
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fetchers import FETCHERS
from mails import small

ROOT = Path(__file__).parent.parent
OWN = "mailrouting"
SLOW = "django-helpdesk"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where a bench keeps what it measures
BARS = {"django-helpdesk": 20, "imap-tools each": 4, "imap-tools bulk": 1.5}
sys.path += [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "servers")]


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description="Time whole fetches beside others.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of 500 mails, 5 if not given")
    parser.add_argument("--many", type=int, default=10_000, help="mails of the large mailbox")
    parser.add_argument("--many-rounds", type=int, default=1, help="rounds of the large mailbox")
    parser.add_argument("--disk", default=tempfile.gettempdir(), help="a folder that is on a disk")
    arguments = parser.parse_args()
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print("mailrouting: WAL, synchronous=FULL; imap-tools: the same; django-helpdesk: its default")
    with dovecot() as server:
        for place, folder in {"tmpfs": SHARED_MEMORY, "disk": Path(arguments.disk)}.items():
            for count, rounds in ((500, arguments.rounds), (arguments.many, arguments.many_rounds)):
                if rounds and folder.is_dir():
                    _print_table(server, place, folder, count=count, rounds=rounds)


@contextmanager
def dovecot() -> Iterator[object]:
    """Run the tests' Dovecot, its mail on shared memory where there is any."""
    import dovecot as servers

    program = servers.find_dovecot()
    if program is None:
        raise SystemExit("Dovecot is not installed: make servers")
    with servers.running(program, folder=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as one:
        yield one


def _print_table(server: object, place: str, folder: Path, *, count: int, rounds: int) -> None:
    mails = small(count)
    seconds: dict[str, list[float]] = {name: [] for name in FETCHERS}
    names = list(FETCHERS)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(_seconds(server, name, folder, mails, number))
    print(f"\n{count} mails of {statistics.fmean(map(len, mails)) / 1000:.1f} KB, state on {place}")
    for name, times in seconds.items():
        ratios = [theirs / ours for theirs, ours in zip(times, seconds[OWN], strict=True)]
        took = statistics.median(times)
        bar = f"   asked >= {BARS[name]}" if name in BARS and place == "tmpfs" else ""
        print(
            f"  {name:16} {took:8.3f} s {count / took:8.0f} tickets/s   x"
            f" {statistics.median(ratios):6.2f}  ({min(ratios):.2f} to {max(ratios):.2f},"
            f" {rounds} rounds){bar}"
        )


def _seconds(server: object, name: str, folder: Path, mails: list[bytes], number: int) -> float:
    from crashing.servers import DovecotMailbox

    mailbox = DovecotMailbox(server, f"{name.replace(' ', '-')}-{len(mails)}-{number}")
    mailbox.deliver(*mails)
    with tempfile.TemporaryDirectory(dir=folder, prefix="mr-bench-") as state:
        where = (str(mailbox.endpoint.host), str(mailbox.endpoint.port))
        command = [sys.executable, str(Path(__file__).with_name("fetchers.py")), name, *where]
        command += [mailbox.name, mailbox.password, state, str(len(mails))]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    mailbox.close()
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stdout}{done.stderr}")
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
