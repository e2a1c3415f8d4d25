"""Run many mailboxes over TLS at a simulated round-trip time: `make bench-many`.

Two questions. New mail: how long the worker takes beside a raw client in as many threads that says
all it has to say in two flights, parses nothing and stores nothing. Nothing new: how long a sweep of
idle mailboxes takes, and what it weighs, with a new connection for each and with kept ones.

Local Dovecot and the delay are other processes on the same cores, and each measured thing is a fresh
process, in rotated order; a ratio is the median of the rounds' ratios. Nothing is asserted.
"""

import argparse
import gc
import itertools
import json
import os
import platform
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench_memory import RESET, kilobytes
from bench_turns import HOST, PASSWORD, Bench, Reached, dovecot, with_floor
from delaying import delaying_process

from mails import small

EVERY = timedelta(minutes=5)
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where a bench keeps what it measures
# By default Dovecot has 100 processes for TLS, one for each connection, and the 101st client waits.
MANY = """
default_client_limit = 20000
service imap-login {
  service_count = 0
  process_min_avail = 2
  process_limit = 2
  client_limit = 10000
}
service imap {
  process_limit = 10000
}
"""


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description="Run many mailboxes.")
    parser.add_argument("--mailboxes", type=int, default=200, help="with new mail, 200")
    parser.add_argument("--mails", type=int, default=10, help="new mails in each, 10")
    parser.add_argument("--idle", type=int, default=1000, help="mailboxes with nothing new, 1000")
    parser.add_argument("--threads", type=int, default=32, help="threads, 32")
    parser.add_argument("--rounds", type=int, default=5, help="rounds with new mail, 5")
    parser.add_argument("--sweeps", type=int, default=5, help="sweeps of idle mailboxes, 5")
    parser.add_argument("--milliseconds", type=int, default=50, help="round-trip time, 50")
    parser.add_argument("--disk", action="store_true", help="keep the state on a disk")
    parser.add_argument("--child", help="used by itself")
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(_CHILDREN[arguments.child](json.load(sys.stdin))))
        return
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
        f"TLS, {arguments.milliseconds} ms, {arguments.threads} threads, as many for the one server"
        " (the worker's own default: 8, of them 4)\n"
        f"State in SQLite on {'disk' if arguments.disk else 'tmpfs'}, WAL, synchronous=FULL; "
        "Dovecot: a process for each session"
    )
    with (
        dovecot(MANY) as server,
        delaying_process(server.tls_port, round_trip=arguments.milliseconds / 1000) as port,
    ):
        bench = Bench(server, 0)
        task = {"port": port, "ca_file": server.ca_file, "threads": arguments.threads}
        if arguments.rounds:
            _print_new(bench, task, arguments)
        if arguments.sweeps:
            _print_idle(bench, task, arguments)


def _print_new(bench: Bench, task: dict[str, Any], arguments: argparse.Namespace) -> None:
    # No mail is in two mailboxes: copies would be looked for, found and linked.
    mails = small(arguments.mails * arguments.mailboxes)
    each = [mails[number :: arguments.mailboxes] for number in range(arguments.mailboxes)]
    found: dict[str, list[dict[str, float]]] = {"floor": [], "worker": []}
    for number in range(arguments.rounds):
        for kind in sorted(found, reverse=number % 2 == 1):
            names = [bench.mailbox(raws) for raws in each]
            work = {"names": names, "mails": arguments.mails, "sweeps": 1, "kept": 0}
            found[kind].append(_in_a_child(kind, task | work, disk=arguments.disk))
    print(f"\n{arguments.mailboxes} mailboxes with {arguments.mails} new mails each, MOVE")
    for kind, rounds in found.items():
        seconds = [one["seconds"][0] for one in rounds]
        ratios = [own / one["seconds"][0] for own, one in zip(seconds, found["floor"], strict=True)]
        print(
            f"  {kind:8} {statistics.median(seconds):7.2f} s,"
            f" {statistics.median(one['cpu'] for one in rounds):6.2f} s of its own processor time,"
            f" {statistics.median(one['weight'] for one in rounds):6.1f} MiB over base,"
            f" {statistics.median(ratios):5.2f} x floor ({min(ratios):.2f} to {max(ratios):.2f},"
            f" {len(rounds)} rounds)" + ("   asked <= 3" if kind == "worker" else "")
        )


def _print_idle(bench: Bench, task: dict[str, Any], arguments: argparse.Namespace) -> None:
    names = [bench.mailbox([]) for _ in range(arguments.idle)]
    print(f"\n{len(names)} idle mailboxes: the first sweep, then the others")
    for what, kept in (("a new connection each", 0), ("kept connections", len(names))):
        work = {"names": names, "mails": 0, "sweeps": arguments.sweeps + 1, "kept": kept}
        found = _in_a_child("worker", task | work, disk=arguments.disk)
        first, *others = found["seconds"]
        print(
            f"  {what:22} first {first:6.2f} s, then {statistics.median(others):6.2f} s"
            f" ({min(others):.2f} to {max(others):.2f}),"
            f" {found['cpu'] / len(found['seconds']) / len(names) * 1000:5.2f} ms of processor time a"
            f" poll, {found['weight']:6.1f} MiB over base"
        )


def _in_a_child(kind: str, task: dict[str, Any], *, disk: bool) -> dict[str, Any]:
    memory = SHARED_MEMORY if SHARED_MEMORY.is_dir() and not disk else None
    with tempfile.TemporaryDirectory(prefix="mr-bench-", dir=memory) as folder:
        done = subprocess.run(
            [sys.executable, __file__, "--child", kind],
            input=json.dumps(task | {"folder": folder}),
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise SystemExit(f"{kind} failed:\n{done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class _Scales:
    """Weigh what is done between two calls: seconds each time, processor time and memory in all."""

    def __init__(self) -> None:
        gc.collect()
        self._base = kilobytes("VmRSS")
        RESET.write_text("5")  # the peak begins anew
        self._began = time.process_time()
        self._since = time.perf_counter()
        self._seconds: list[float] = []

    def note(self) -> None:
        """Note that a round is over, and another begins."""
        now = time.perf_counter()
        self._seconds.append(now - self._since)
        self._since = now

    def result(self) -> dict[str, Any]:
        """Return what was found."""
        return {
            "seconds": self._seconds,
            "cpu": time.process_time() - self._began,
            "weight": (kilobytes("VmHWM") - self._base) / 1024,
        }


def _floor(task: dict[str, Any]) -> dict[str, Any]:
    """Fetch from each mailbox with two flights."""
    reached = Reached(task["ca_file"])

    def fetch(name: str) -> None:
        with_floor(reached, name, task["port"], task["mails"])

    with ThreadPoolExecutor(task["threads"]) as pool:
        scales = _Scales()
        list(pool.map(fetch, task["names"]))
        scales.note()
    return scales.result()


def _worker(task: dict[str, Any]) -> dict[str, Any]:
    """Run the worker until every mailbox was swept so many times."""
    from mailrouting.worker import Worker, WorkerLimits

    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert most > task["kept"] + 200, f"ulimit -n is {most}"
    ahead = timedelta()
    reports = itertools.count(1)

    def clock() -> datetime:
        return datetime.now(UTC) + ahead

    def note(report: Any) -> None:
        nonlocal ahead
        if report.error is not None or report.acknowledged != task["mails"]:
            worker.stop()
            raise SystemExit(f"{report.status}: {report.because}")
        sweeps, left = divmod(next(reports), len(task["names"]))
        if left == 0:
            scales.note()
            ahead += EVERY
            if sweeps == task["sweeps"]:
                worker.stop()

    with _fetching(task, clock) as fetcher:
        worker = Worker(
            fetcher,
            limits=WorkerLimits(
                threads=task["threads"], per_host=task["threads"], kept=task["kept"]
            ),
            on_report=note,
        )
        scales = _Scales()
        assert worker.run() == ()
    return scales.result()


@contextmanager
def _fetching(task: dict[str, Any], clock: Callable[[], datetime]) -> Iterator[Any]:
    """Open what a host would: an account for each mailbox, one store and its desk in one file."""
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

    accounts = tuple(
        EmailAccount(
            id=name,
            address=NamedAddress.parse(name),
            inbound=InboundSettings(
                protocol=MailProtocol.IMAP,
                endpoint=Endpoint(HOST, task["port"], TlsMode.IMPLICIT),
                login=parse_login(name),
                first_run=FirstRun.all(),
                fetch_every=EVERY,
                processed=AfterFetch.move("Done"),
            ),
        )
        for name in task["names"]
    )
    secrets = StaticCredentials(dict.fromkeys(task["names"], PASSWORD))
    path = Path(task["folder"]) / "state.sqlite"
    with SqliteStorage(path) as storage:
        desk = SqliteDesk(path)
        yield Fetcher(
            accounts=Directory(accounts=accounts),
            storage=storage,
            desk=desk,
            open_session=opener(secrets, tls=Reached(task["ca_file"]).tls),
            clock=clock,
        )
        desk.close()


_CHILDREN: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "floor": _floor,
    "worker": _worker,
}


if __name__ == "__main__":
    main()
