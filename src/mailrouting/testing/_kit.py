"""Hold what the tests of the conformance kits share: the author's hooks, samples, ways to fail."""

import functools
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import pytest

from mailrouting.auth import MailProtocol
from mailrouting.reading import identify
from mailrouting.records import (
    Claim,
    Conclusion,
    Failure,
    IntakeMail,
    IntakeRow,
    Lease,
    MailboxKey,
    Outcome,
    OutcomeKind,
    Position,
    PositionState,
    PutResult,
    ThreadRecord,
    Unacknowledged,
)
from mailrouting.storage import Capability, Storage
from mailrouting.testing._kit_levels import Level, level_of, obligations_of, previewed_until
from mailrouting.testing._kit_report import NOT_DECLARED, PROPERTY, KitRun

__all__ = [
    "ACCOUNT",
    "FAILURE",
    "MAILBOX",
    "NOW",
    "Opener",
    "StorageKit",
    "at",
    "check_opener",
    "claim",
    "claim_one",
    "conclusion",
    "ending",
    "lease",
    "mail",
    "must_raise",
    "opened",
    "position",
    "pushed",
    "put",
    "snapshot",
]

Opener = Callable[[], Storage[object]]
"""Open the same data again, each time it is called."""

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACCOUNT = "support"
MAILBOX = MailboxKey(ACCOUNT, MailProtocol.IMAP, "INBOX")
FAILURE = Failure(step="prepare", error_type="OSError", text="the scanner is away")


def at(seconds: float) -> datetime:
    """Return the time so long after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def position(number: int, *, generation: int = 1, mailbox: MailboxKey = MAILBOX) -> Position:
    """Return the position of a UID."""
    return Position(mailbox, generation, str(number))


def mail(
    number: int,
    *,
    uid: int | None = None,
    generation: int = 1,
    mailbox: MailboxKey = MAILBOX,
    raw: bytes | None = None,
) -> IntakeMail:
    """Return the mail of this number, at the UID of the same number or another."""
    if raw is None:
        raw = f"Message-ID: <{number}@example.org>\r\n\r\nmail {number}\r\n".encode()
    return IntakeMail(
        account_id=mailbox.account_id,
        raw=raw,
        identity=identify(raw),
        position=position(number if uid is None else uid, generation=generation, mailbox=mailbox),
    )


def pushed(number: int, *, account_id: str = ACCOUNT) -> IntakeMail:
    """Return the mail of this number as it is when it was pushed."""
    raw = f"Message-ID: <{number}@example.org>\r\n\r\nmail {number}\r\n".encode()
    return IntakeMail(account_id=account_id, raw=raw, identity=identify(raw))


def lease(storage: Storage[object], mailbox: MailboxKey = MAILBOX, *, now: datetime = NOW) -> Lease:
    """Take a mailbox that nobody holds, for a minute."""
    taken = storage.lease_acquire(mailbox, owner="worker", ttl_seconds=60, now=now)
    assert taken is not None, "S1: a mailbox that nobody holds must be given"
    return taken


def opened(storage: Storage[object], mailbox: MailboxKey = MAILBOX) -> Lease:
    """Take a mailbox and open its stream."""
    held = lease(storage, mailbox)
    storage.stream_open(held, uidvalidity=7, uidnext=1000)
    return held


def put(storage: Storage[object], *numbers: int) -> tuple[PutResult, ...]:
    """Open the mailbox, put mails, and give it back."""
    held = opened(storage)
    results = storage.intake_put([mail(number) for number in numbers], lease=held, now=NOW)
    storage.lease_release(held)
    return results


def claim(
    storage: Storage[object],
    *,
    now: datetime = NOW,
    limit: int = 100,
    max_attempts: int = 5,
    account_ids: Sequence[str] | None = None,
) -> tuple[Claim, ...]:
    """Claim for a minute; return what is to be converted."""
    return storage.intake_claim(
        worker="worker",
        limit=limit,
        visibility_seconds=60,
        max_attempts=max_attempts,
        account_ids=account_ids,
        now=now,
    ).claimed


def claim_one(
    storage: Storage[object],
    *,
    now: datetime = NOW,
    limit: int = 100,
    max_attempts: int = 5,
    account_ids: Sequence[str] | None = None,
) -> Claim:
    """Claim the one row that is due."""
    claims = claim(
        storage, now=now, limit=limit, max_attempts=max_attempts, account_ids=account_ids
    )
    assert len(claims) == 1, f"S6: one row is due and must be claimed, {len(claims)} were"
    return claims[0]


def conclusion(number: int) -> Conclusion:
    """Return what stores ticket and Message-ID of this number."""
    return Conclusion(
        outcome=Outcome(kind=OutcomeKind.CREATED, reason="a new matter", ticket=f"T{number}"),
        threads=(
            ThreadRecord(
                message_id=f"{number}@example.org", ticket=f"T{number}", account_id=ACCOUNT
            ),
        ),
    )


def ending(kind: OutcomeKind) -> Callable[[object], Conclusion]:
    """Return a write that ends a mail so, and writes nothing for the host."""
    ended = Conclusion(outcome=Outcome(kind=kind, reason="because"))
    return lambda _: ended


_Snapshot = tuple[
    tuple[IntakeRow, ...],
    tuple[bytes, ...],
    tuple[tuple[str, PositionState], ...],
    tuple[Unacknowledged, ...],
    tuple[ThreadRecord, ...],
]


def snapshot(storage: Storage[object], *numbers: int) -> _Snapshot:
    """Return all that can be seen of these mails of `MAILBOX`."""
    rows = storage.intake_rows(limit=1000)
    known = storage.positions(MAILBOX, 1, [str(number) for number in numbers])
    return (
        rows,
        tuple(storage.intake_raw(row.id)[:] for row in rows if row.has_raw),
        tuple(sorted(known.items(), key=lambda item: item[0])),
        storage.unacknowledged(MAILBOX, limit=1000, concluded_only=False),
        storage.find_threads([f"{number}@example.org" for number in numbers]),
    )


@contextmanager
def must_raise(kind: type[Exception], sentence: str) -> Generator[None]:
    """Fail with the sentence unless the block raises this error."""
    try:
        yield
    except kind:
        return
    except Exception as error:  # noqa: BLE001 - whatever else it is, the sentence says what it should be
        pytest.fail(f"{sentence}: it raised {type(error).__name__} ({error})")
    pytest.fail(f"{sentence}: it raised nothing")


@runtime_checkable
class _ExecutesSql(Protocol):
    def execute(self, sql: str, parameters: Sequence[str] = (), /) -> object: ...


@runtime_checkable
class _Rows(Protocol):
    def fetchall(self) -> list[tuple[str]]: ...


class _PeekedError(Exception):
    """End the transaction that was only begun to look."""


def check_opener(kit: type) -> None:
    """Have a class's own `opener` say in one sentence, and once, that it returns no function."""
    opener: Callable[[object, Path], object] | None = vars(kit).get("opener")
    if opener is None:
        return
    was_told = False

    @functools.wraps(opener)
    def checked(self: object, fresh_dir: Path) -> object:
        nonlocal was_told
        found = opener(self, fresh_dir)
        if callable(found):
            return found
        name = type(found).__name__
        close = getattr(found, "close", None)
        if callable(close):
            close()
        if was_told:
            pytest.skip(f"{kit.__name__}.opener must return a function")
        was_told = True
        pytest.fail(
            f"{kit.__name__}.opener returned {name}, expected a function that opens one each time "
            f"it is called: return functools.partial({name}, ...) or a lambda",
            pytrace=False,
        )

    type.__setattr__(kit, "opener", checked)


class StorageKit:
    """Hold the author's hooks and what the kit's tests share."""

    level: ClassVar[int] = Level.WHOLE
    known_gaps: ClassVar[dict[str, str]] = {}
    model_examples: ClassVar[int] = 30

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        check_opener(cls)

    def opener(self, fresh_dir: Path) -> Opener:
        """Return a way to open the same data again and again.

        Args:
            fresh_dir: A new, empty folder; data kept elsewhere is named after it.
        """
        raise TypeError(f"{type(self).__name__} has no opener for data in {fresh_dir}")

    def host_write(self, tx: object, word: str) -> None:
        """Write a row of the host's through `tx`; override it unless `tx` executes SQL with `?`."""
        sql = _executes_sql(tx)
        sql.execute("CREATE TABLE IF NOT EXISTS kit_words (word TEXT)")
        sql.execute("INSERT INTO kit_words VALUES (?)", (word,))

    def host_words(self, tx: object) -> list[str]:
        """Return what `host_write` wrote and was committed; override both or none."""
        sql = _executes_sql(tx)
        sql.execute("CREATE TABLE IF NOT EXISTS kit_words (word TEXT)")
        rows = sql.execute("SELECT word FROM kit_words")
        assert isinstance(rows, _Rows), f"override host_words for {type(tx).__name__}"
        return [word for (word,) in rows.fetchall()]

    @pytest.fixture(autouse=True)
    def _held_to_its_level(self, request: pytest.FixtureRequest) -> None:
        """Say who runs which test; pass over what is above the level, and let a preview fail."""
        test = request.function
        level, until = level_of(test), previewed_until(test)
        is_above = level > self.level
        run = KitRun(
            kit=type(self).__name__,
            level=self.level,
            obligations=obligations_of(test),
            until=until,
            is_above=is_above,
        )
        request.node.user_properties.append((PROPERTY, run.as_text()))
        if is_above:
            pytest.skip(
                f"not tried: it is of level {level} ({level.meaning}), and {type(self).__name__} "
                f"declares level {self.level}"
            )
        if until is not None:
            reason = f"a preview, binding from {until} on"
            request.applymarker(pytest.mark.xfail(reason=reason, strict=False))

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Generator[Storage[object]]:
        """Open fresh data, and close it."""
        with self.opener(tmp_path)() as storage:
            yield storage

    @staticmethod
    def require(storage: Storage[object], capability: Capability) -> None:
        """Skip the test unless the adapter declares this."""
        if capability not in storage.capabilities:
            pytest.skip(
                f"{type(storage).__name__} {NOT_DECLARED} {capability.name} ({capability.value})"
            )

    def words(self, storage: Storage[object]) -> list[str]:
        """Return the host's committed rows, seen from a transaction that is rolled back."""
        found: list[str] = []

        def peek(tx: object) -> Conclusion:
            found.extend(self.host_words(tx))
            raise _PeekedError

        storage.intake_put([pushed(1, account_id="peek")], lease=None, now=NOW)
        claimed = claim_one(storage, account_ids=["peek"], max_attempts=10**6)
        with pytest.raises(_PeekedError):
            storage.conclude(claimed, peek)
        storage.intake_fail(claimed, FAILURE, retry_at=NOW, counts=False)
        return found


def _executes_sql(tx: object) -> _ExecutesSql:
    if not isinstance(tx, _ExecutesSql):
        raise TypeError(
            f"SHARED_TRANSACTION is declared and {type(tx).__name__} has no execute(): "
            "override host_write(self, tx, word) and host_words(self, tx)"
        )
    return tx
