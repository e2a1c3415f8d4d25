"""Live one case: a mailbox, a file of state, and processes that die over it one after the other."""

import shutil
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

from crashing.children import Child, kill
from crashing.mails import ADDRESS, word
from crashing.steps import SteppingSession, Steps, stepping
from mailrouting.accounts import EmailAccount, FirstRun, InboundSettings
from mailrouting.addresses import NamedAddress
from mailrouting.auth import parse_login
from mailrouting.connect import StaticCredentials, opener, tls_context
from mailrouting.directory import Directory
from mailrouting.fetch import Fetcher, FetchLimits
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.stores.sqlite import SqliteStorage

ACCOUNT = "help"
# Two mails a batch: a run has several puts, and several conversions between them.
LIMITS = FetchLimits(batch_mails=2)
_TLS = tls_context()
_BUSY_SECONDS = 1.0


class ScanningDesk(SqliteDesk):
    """Be the small desk of the command, which also looks at each draft before it writes."""

    def prepare(self, draft):
        return draft


class Recipe:
    """Say how a run is put together; what a test would break, it overrides."""

    storage = SqliteStorage
    desk = ScanningDesk
    fetcher = Fetcher

    def session(self, session):
        return session

    def begin(self):
        """Do what comes first in the process that runs."""


@attrs.frozen
class State:
    """Say all that must not depend on when somebody died.

    Attributes:
        entries: How many entries of tickets each mail has.
        rows: How many intake rows each mail has, by what became of it.
        folders: What is in each folder of the server.
    """

    entries: Counter
    rows: Counter
    folders: dict


@attrs.frozen
class Ran:
    """Say how a run ended that was not killed: the steps that it took, and its error's text."""

    steps: int
    error: str


@attrs.define
class Case:
    """Be one mailbox and its state.

    Attributes:
        folder: Where its state is.
        mailbox: On its server.
        inbound: Further inbound settings.
        recipe: How a run is put together.
        measured: Whether its processes write coverage.
        lives: How many processes ran so far; each lives an hour after the one before, so that
            what the dead held is free.
    """

    folder: Path
    mailbox: object
    inbound: dict
    recipe: Recipe
    measured: bool
    lives: int = 0

    def begin(self, at=None, *, end=kill):
        """Start a process that runs the account once; at a step, it ends."""
        self.lives += 1
        later = timedelta(hours=self.lives)
        return Child(lambda: self._run(at, end, later), measured=self.measured)

    def live(self, at=None):
        """Run the account once in a process of its own; None when it was killed at the step."""
        return self.begin(at).result()

    def warm(self):
        """Run the account once in this process, so that those forked from it begin warm."""
        self._run(None, kill, timedelta(0))

    def _run(self, at, end, later):
        self.recipe.begin()
        steps = Steps(at, end)
        clock = lambda: datetime.now(UTC) + later  # noqa: E731 - a clock is a value here
        open_session = opener(StaticCredentials({ACCOUNT: self.mailbox.password}), tls=_TLS)
        storage = stepping(self.recipe.storage)(
            self.folder / "state.sqlite", clock=clock, busy_timeout_seconds=_BUSY_SECONDS
        )
        desk = stepping(self.recipe.desk)(self.folder / "state.sqlite")
        storage.steps = desk.steps = steps
        report = self.recipe.fetcher(
            accounts=self.directory,
            storage=storage,
            desk=desk,
            open_session=lambda account: SteppingSession(
                self.recipe.session(steps.around(open_session)(account)), steps
            ),
            clock=clock,
            limits=LIMITS,
            worker=f"life-{self.lives}",
        ).run(ACCOUNT)
        storage.close()
        return Ran(steps.passed, report.because)

    @property
    def directory(self):
        return Directory(
            accounts=(
                EmailAccount(
                    id=ACCOUNT,
                    address=NamedAddress.parse(ADDRESS),
                    inbound=InboundSettings(
                        **{
                            "protocol": self.mailbox.protocol,
                            "endpoint": self.mailbox.endpoint,
                            "login": parse_login(self.mailbox.name),
                            "first_run": FirstRun.all(),
                            **self.inbound,
                        }
                    ),
                ),
            )
        )

    def state(self):
        """Look at tickets, rows and folders."""
        path = self.folder / "state.sqlite"
        desk = SqliteDesk(path)
        with SqliteStorage(path) as storage:
            rows = Counter(
                (
                    word(storage.intake_raw(row.id)),
                    row.outcome.kind.value if row.outcome else row.state.value,
                )
                for row in storage.intake_rows(limit=10_000)
            )
        entries = Counter(
            word(entry.text) for ticket in desk.tickets() for entry in desk.entries(ticket.id)
        )
        return State(entries, rows, self.mailbox.folders())


@contextmanager
def case(folder, mailbox, *, inbound, mails, recipe, measured):
    """Give one case, and clean up behind it."""
    folder.mkdir()
    mailbox.deliver(*mails)
    try:
        yield Case(folder, mailbox, inbound, recipe, measured)
    finally:
        mailbox.close()
        shutil.rmtree(folder)
