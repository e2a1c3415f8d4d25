"""Test two at once, at each line of the adapter: S1, S3, S4, S6, S7, S23, S28."""

import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mailrouting.auth import MailProtocol
from mailrouting.errors import StaleWriteError
from mailrouting.records import (
    Claims,
    Conclusion,
    Lease,
    MailboxKey,
    OutcomeKind,
    PutResult,
    PutStatus,
    Stream,
)
from mailrouting.storage import Capability, Storage
from mailrouting.testing._crash import adapter_folders
from mailrouting.testing._interleave import Ended, Race, race_at_each_line
from mailrouting.testing._kit import (
    NOW,
    StorageKit,
    claim_one,
    conclusion,
    ending,
    mail,
    opened,
    pushed,
)
from mailrouting.testing._kit_levels import Level, of_level

__all__ = ["RaceObligations"]

Check = Callable[[Ended, Ended, str], None]


def _mailbox(number: int) -> MailboxKey:
    return MailboxKey(f"race-{number}", MailProtocol.IMAP, "INBOX")


def _one_wins(first: Ended, second: Ended, sentence: str) -> None:
    """Check that one returned and the other was told that it came too late."""
    errors = [ended.error for ended in (first, second) if ended.error is not None]
    assert len(errors) == 1, f"{sentence}: {2 - len(errors)} of 2 won"
    assert isinstance(errors[0], StaleWriteError), f"{sentence}: it raised {errors[0]!r}"


def _values(first: Ended, second: Ended, sentence: str) -> tuple[object, object]:
    """Return what both returned."""
    for ended in (first, second):
        assert ended.error is None, f"{sentence}: it raised {ended.error!r}"
    return first.value, second.value


@of_level(Level.MANY_WORKERS)
class RaceObligations(StorageKit):
    """Hold the adapter to what it promises when two do the same at once."""

    @contextmanager
    def _two(
        self, folder: Path
    ) -> Generator[tuple[Storage[object], Storage[object], Iterator[int]]]:
        opener = self.opener(folder)
        with ExitStack() as stack:
            one = stack.enter_context(opener())
            shares = Capability.MULTI_HANDLE in one.capabilities
            other = stack.enter_context(opener()) if shares else one
            yield one, other, itertools.count(1)

    def test_claiming_at_once(self, tmp_path: Path) -> None:
        """S6: paused before any line of a claim, a row is claimed by one of two workers."""
        with self._two(tmp_path) as (one, other, numbers):

            def make() -> Race:
                account_id = f"race-{next(numbers)}"
                one.intake_put([pushed(1, account_id=account_id)], lease=None, now=NOW)

                def take(storage: Storage[object]) -> Claims:
                    return storage.intake_claim(
                        worker="worker",
                        limit=1,
                        visibility_seconds=60,
                        max_attempts=5,
                        account_ids=[account_id],
                        now=NOW,
                    )

                return Race(first=lambda: take(one), second=lambda: take(other), check=check)

            def check(first: Ended, second: Ended, place: str) -> None:
                sentence = f"S6: two claimed at once, one paused before {place}"
                taken = [
                    claimed
                    for claims in _values(first, second, sentence)
                    if isinstance(claims, Claims)
                    for claimed in claims.claimed
                ]
                assert len(taken) == 1, f"{sentence}: {len(taken)} of 2 got the row"
                # Claims look at what is open: each race must find as much as the one before.
                one.conclude(taken[0], ending(OutcomeKind.FILTERED))

            race_at_each_line(make, adapter_folders(one))

    def test_putting_at_once(self, tmp_path: Path) -> None:
        """S4: paused before any line of a put, a mail has one row and each is told which."""
        with self._two(tmp_path) as (one, other, numbers):
            held = opened(one)

            def make() -> Race:
                batch = [mail(next(numbers)), mail(next(numbers))]
                return Race(
                    first=lambda: one.intake_put(batch, lease=held, now=NOW),
                    second=lambda: other.intake_put(batch, lease=held, now=NOW),
                    check=check,
                )

            def check(first: Ended, second: Ended, place: str) -> None:
                sentence = f"S4: two put the same mails at once, one paused before {place}"
                found = _values(first, second, sentence)
                results = [result for one in found for result in _results(one)]
                for some in (results[::2], results[1::2]):
                    statuses = {result.status for result in some}
                    assert statuses == {PutStatus.CREATED, PutStatus.KNOWN}, f"{sentence}: {some}"
                    assert len({result.intake_id for result in some}) == 1, f"{sentence}: {some}"

            race_at_each_line(make, adapter_folders(one))

    def test_concluding_at_once(self, tmp_path: Path) -> None:
        """S7: paused before any line of a conclude, one of two concludes; the other did nothing."""
        with self._two(tmp_path) as (one, other, numbers):
            shared = Capability.SHARED_TRANSACTION in one.capabilities
            expected: list[str] = []

            def make() -> Race:
                number = next(numbers)
                account_id = f"race-{number}"
                one.intake_put([pushed(1, account_id=account_id)], lease=None, now=NOW)
                claimed = claim_one(one, account_ids=[account_id])
                expected.extend([f"T{number}"] * shared)

                def write(tx: object) -> Conclusion:
                    if shared:
                        self.host_write(tx, f"T{number}")
                    return conclusion(number)

                return Race(
                    first=lambda: one.conclude(claimed, write),
                    second=lambda: other.conclude(claimed, write),
                    check=lambda first, second, place: _one_wins(
                        first, second, f"S7: two concluded at once, one paused before {place}"
                    ),
                )

            race_at_each_line(make, adapter_folders(one))
            if shared:
                assert self.words(one) == expected, "S7: the host's rows were written twice"

    def test_leasing_at_once(self, tmp_path: Path) -> None:
        """S1: paused before any line of taking a lease, one of two gets the mailbox."""
        with self._two(tmp_path) as (one, other, numbers):

            def make() -> Race:
                mailbox = _mailbox(next(numbers))

                def take(storage: Storage[object]) -> Lease | None:
                    return storage.lease_acquire(mailbox, owner="worker", ttl_seconds=60, now=NOW)

                return Race(first=lambda: take(one), second=lambda: take(other), check=check)

            def check(first: Ended, second: Ended, place: str) -> None:
                sentence = f"S1: two took a mailbox at once, one paused before {place}"
                held = [lease for lease in _values(first, second, sentence) if lease is not None]
                assert len(held) == 1, f"{sentence}: {len(held)} of 2 got it"

            race_at_each_line(make, adapter_folders(one))

    def test_opening_at_once(self, tmp_path: Path) -> None:
        """S3: paused before any line of opening a stream, one generation begins, once."""
        with self._two(tmp_path) as (one, other, numbers):

            def make() -> Race:
                held = opened(one, _mailbox(next(numbers)))
                return Race(
                    first=lambda: one.stream_open(held, uidvalidity=8, uidnext=1),
                    second=lambda: other.stream_open(held, uidvalidity=8, uidnext=1),
                    check=check,
                )

            def check(first: Ended, second: Ended, place: str) -> None:
                sentence = f"S3: two opened a mailbox at once, one paused before {place}"
                streams = [
                    stream
                    for stream in _values(first, second, sentence)
                    if isinstance(stream, Stream)
                ]
                assert [stream.generation for stream in streams] == [2, 2], f"{sentence}: {streams}"
                assert sum(stream.is_new for stream in streams) == 1, f"{sentence}: {streams}"

            race_at_each_line(make, adapter_folders(one))

    @of_level(Level.WHOLE)
    def test_reopening_at_once(self, tmp_path: Path) -> None:
        """S23: paused before any line of reopening a row, it is reopened once."""
        with self._two(tmp_path) as (one, other, numbers):

            def make() -> Race:
                account_id = f"race-{next(numbers)}"
                one.intake_put([pushed(1, account_id=account_id)], lease=None, now=NOW)
                claimed = claim_one(one, account_ids=[account_id])
                one.conclude(claimed, ending(OutcomeKind.QUARANTINED))
                intake_id = claimed.row.id

                def check(first: Ended, second: Ended, place: str) -> None:
                    sentence = f"S23: two reopened a row at once, one paused before {place}"
                    _one_wins(first, second, sentence)
                    assert one.intake_row(intake_id).reopened == 1, sentence

                return Race(
                    first=lambda: one.intake_reopen(intake_id, now=NOW),
                    second=lambda: other.intake_reopen(intake_id, now=NOW),
                    check=check,
                )

            race_at_each_line(make, adapter_folders(one))

    @of_level(Level.WHOLE)
    def test_counting_at_once(self, tmp_path: Path) -> None:
        """S28: paused before any line of counting, two hits get two numbers."""
        with self._two(tmp_path) as (one, other, numbers):

            def make() -> Race:
                key = str(next(numbers))

                def hit(storage: Storage[object]) -> int:
                    return storage.count("race", key, window_seconds=60, now=NOW)

                return Race(first=lambda: hit(one), second=lambda: hit(other), check=check)

            def check(first: Ended, second: Ended, place: str) -> None:
                sentence = f"S28: two counted at once, one paused before {place}"
                found = _values(first, second, sentence)
                assert set(found) == {1, 2}, f"{sentence}: they got {found}"

            race_at_each_line(make, adapter_folders(one))


def _results(value: object) -> list[PutResult]:
    assert isinstance(value, tuple)
    return [result for result in value if isinstance(result, PutResult)]  # pyright: ignore[reportUnknownVariableType]
