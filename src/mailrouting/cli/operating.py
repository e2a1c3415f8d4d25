"""Look at a state, and do what an operator asks of it."""

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from mailrouting.cli.config import Config
from mailrouting.cli.listing import when
from mailrouting.cli.state import check_state, naming_state
from mailrouting.errors import ConfigurationError
from mailrouting.health import AccountHealth, due_at, shown_state
from mailrouting.records import IntakeRow, IntakeState, OutcomeKind
from mailrouting.stores.sqlite import SqliteStorage

__all__ = [
    "account_rows",
    "days_ago",
    "intake_rows",
    "opened",
    "private_file",
    "shown",
    "with_outcome",
    "write_mail",
]

_AT_ONCE = 500
_UNFINISHED = frozenset({IntakeState.WAITING, IntakeState.CLAIMED})


@contextmanager
def opened(config: Config) -> Generator[SqliteStorage]:
    """Open the state that is there; none is made.

    Raises:
        ConfigurationError: There is none, or it cannot be used.
        StorageUnavailableError: It is busy or away.
    """
    check_state(config.state, named=f"{config.path}: state")
    if not config.state.exists():
        raise ConfigurationError(
            f"{config.state}: there is no state yet", hint="Run mailrouting fetch first."
        )
    with naming_state(config.state), SqliteStorage(config.state) as storage:
        yield storage


def account_rows(config: Config, storage: SqliteStorage) -> Iterator[dict[str, object]]:
    """Yield how each account is."""
    paused, counts = storage.paused(), storage.outcome_counts()
    for account in config.directory.accounts:
        health = storage.health(account.id)
        pause = paused.get(account.id)
        state = shown_state(health, is_paused=pause is not None)
        since = pause.since if pause else (health.since if health else None)
        mailbox = account.mailbox
        next_try = None
        if mailbox is not None and pause is None and account.enabled and mailbox.enabled:
            next_try = _next_try(health, mailbox.fetch_every)
        trouble = health.trouble if health else None
        yield {
            "account": account.id,
            "state": state.value if state else "new",
            "since": when(since),
            "because": pause.because if pause else None,
            "last_success": when(health.last_success_at) if health else None,
            "next_try": when(next_try),
            "counts": {kind.value: number for kind, number in counts.get(account.id, {}).items()},
            "trouble": f"{trouble.error_type}: {trouble.text}" if trouble else None,
            "hint": trouble.hint if trouble else None,
        }
    for name, numbers in counts.items():
        if config.directory.find_account(name) is None and numbers.keys() & _UNFINISHED:
            yield _removed(name, numbers)


def _removed(name: str, counts: Mapping[OutcomeKind | IntakeState, int]) -> dict[str, object]:
    """Show an account that has mail which nobody converts."""
    return {
        "account": name,
        "state": "removed",
        "since": None,
        "because": None,
        "last_success": None,
        "next_try": None,
        "counts": {kind.value: number for kind, number in counts.items()},
        "trouble": "it is not in the configuration, and its mail waits",
        "hint": "Put the account back under this name, without inbound if it is not to be fetched.",
    }


def _next_try(health: AccountHealth | None, fetch_every: timedelta) -> datetime | None:
    if health is None:
        return None
    return due_at(health, fetch_every=fetch_every, now=datetime.now(UTC))


def intake_rows(
    storage: SqliteStorage,
    *,
    account_id: str | None,
    state: str | None,
    outcome: str | None,
    limit: int,
) -> Iterator[dict[str, object]]:
    """Yield the rows that fit, by id."""
    after_id, left = 0, limit
    while left:
        rows = storage.intake_rows(
            account_id=account_id,
            state=IntakeState(state) if state else None,
            outcome=OutcomeKind(outcome) if outcome else None,
            after_id=after_id,
            limit=min(_AT_ONCE, left),
        )
        for row in rows:
            yield _brief(row)
        if len(rows) < min(_AT_ONCE, left):
            return
        after_id, left = rows[-1].id, left - len(rows)


def _brief(row: IntakeRow) -> dict[str, object]:
    outcome, failure = row.outcome, row.failure
    return {
        "intake": row.id,
        "account": row.account_id,
        "state": row.state.value,
        "outcome": outcome.kind.value if outcome else None,
        "ticket": outcome.ticket if outcome else None,
        "size": row.size,
        "stored": when(row.stored_at),
        "attempts": row.attempts,
        "failed_in": f"{failure.step}: {failure.error_type}" if failure else None,
    }


def shown(row: IntakeRow) -> dict[str, object]:
    """Return all that is known of a row but its mail."""
    outcome, failure, envelope = row.outcome, row.failure, row.envelope
    return {
        **_brief(row),
        "received": when(row.received_at),
        "next_try": when(row.next_attempt_at),
        "reopened": row.reopened,
        "has_raw": row.has_raw,
        "fingerprint": row.identity.fingerprint,
        "reverse_path": envelope.reverse_path if envelope else None,
        "recipients": list(envelope.recipients) if envelope else None,
        "failure": failure.text if failure else None,
        "reason": outcome.reason if outcome else None,
        "trace": "\n".join(map(str, outcome.trace)) if outcome else None,
    }


def with_outcome(
    storage: SqliteStorage, *, account_id: str | None, outcomes: Sequence[OutcomeKind]
) -> Iterator[int]:
    """Yield the ids of rows that have one of these outcomes."""
    for outcome in outcomes:
        after_id = 0
        while rows := storage.intake_rows(
            account_id=account_id, outcome=outcome, after_id=after_id, limit=_AT_ONCE
        ):
            after_id = rows[-1].id
            yield from (row.id for row in rows)


def write_mail(storage: SqliteStorage, intake_id: int, target: BinaryIO) -> None:
    """Write a mail, byte for byte.

    Raises:
        RecordNotFoundError: There is no such row, or its mail is forgotten.
    """
    with memoryview(storage.intake_raw(intake_id)) as view:
        target.write(view)


def days_ago(days: float) -> datetime:
    """Return the time so many days ago.

    Raises:
        ConfigurationError: There is no such time.
    """
    try:
        return datetime.now(UTC) - timedelta(days=days)
    except (OverflowError, ValueError):
        raise ConfigurationError(
            f"--older-than: found {days} days, expected a time since the year 1",
            hint="Say fewer days.",
        ) from None


@contextmanager
def private_file(path: Path) -> Generator[BinaryIO]:
    """Create a file for this user alone, and open it.

    Raises:
        OSError: It exists, or cannot be created.
    """
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(number, "wb") as file:  # noqa: PTH123 - it is open already
        yield file
