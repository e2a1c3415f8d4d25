"""The conformance kit catches what it is there to catch, and speaks plainly to its user."""

import inspect
from functools import partial

import attrs
import pytest

from mailrouting.errors import StaleWriteError
from mailrouting.records import IntakeState
from mailrouting.storage import Capability
from mailrouting.stores.memory import MemoryStorage
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing.conformance import AccountStoreConformance, StorageConformance


class PutsOneByOne(SqliteStorage):
    """Each mail of a batch is a transaction of its own."""

    def intake_put(self, mails, **options):
        results = []
        for mail in mails:
            results += super().intake_put([mail], **options)
        return tuple(results)


class ConcludesInTwoSteps(SqliteStorage):
    """The outcome commits before the threads."""

    def conclude(self, claim, write):
        kept = []

        def first(tx):
            conclusion = write(tx)
            kept.extend(conclusion.threads)
            return attrs.evolve(conclusion, threads=())

        outcome = super().conclude(claim, first)
        self.remember_threads(kept)
        return outcome


class CountsAttemptsLater(SqliteStorage):
    """The attempt is counted in a transaction after that of the claim."""

    def intake_claim(self, **options):
        claims = super().intake_claim(**options)
        for claim in claims.claimed:
            self._executor.execute(
                "UPDATE mailrouting_intake SET attempts = attempts - 1 WHERE id = ?",
                (claim.row.id,),
            )
            self._executor.execute(
                "UPDATE mailrouting_intake SET attempts = attempts + 1 WHERE id = ?",
                (claim.row.id,),
            )
        return claims


class ForgetsLeases(SqliteStorage):
    """Leases do not survive closing."""

    def close(self):
        try:
            self._executor.execute("UPDATE mailrouting_mailbox SET lease_expires_at = NULL", ())
        finally:
            super().close()


class ClaimsTwice(MemoryStorage):
    """A claim keeps nobody away."""

    def intake_claim(self, **options):
        for intake in self._open.values():
            intake.claimed_until = None
        return super().intake_claim(**options)


class ConcludesAgain(MemoryStorage):
    """A later outcome replaces the first."""

    def conclude(self, claim, write):
        intake = self._intake[claim.row.id]
        if intake.row.state is IntakeState.DONE:
            intake.end(write(None).outcome)
            return intake.row.outcome
        return super().conclude(claim, write)


class TrustsGreaterUidvalidity(MemoryStorage):
    """Only a greater uidvalidity begins a generation."""

    def stream_open(self, lease, *, uidvalidity, uidnext, **options):
        numbering = self._leased(lease).numbering
        if numbering and uidvalidity and uidvalidity < numbering.uidvalidity:
            uidvalidity = numbering.uidvalidity
        return super().stream_open(lease, uidvalidity=uidvalidity, uidnext=uidnext, **options)


class CutsAtNul(MemoryStorage):
    """Mail ends at its first NUL."""

    def intake_raw(self, intake_id):
        return super().intake_raw(intake_id).partition(b"\0")[0]


class FoldsCase(MemoryStorage):
    """Message-IDs are compared without case."""

    def find_threads(self, message_ids):
        folded = {message_id.lower() for message_id in message_ids}
        ids = [known for known in self._threads if known.lower() in folded]
        return super().find_threads(ids)


class KeepsAttempts(MemoryStorage):
    """An attempt is never given back."""

    def intake_fail(self, claim, failure, *, retry_at, counts):
        super().intake_fail(claim, failure, retry_at=retry_at, counts=True)


class SortsUidsAsText(MemoryStorage):
    """UID 10 comes before UID 9."""

    def unacknowledged(self, mailbox, *, limit, concluded_only):
        found = super().unacknowledged(mailbox, limit=10**6, concluded_only=concluded_only)
        return tuple(sorted(found, key=lambda item: item.position.uid)[:limit])


class IgnoresLostLeases(MemoryStorage):
    """Whoever had a lease once may write."""

    def _leased(self, lease):
        return self._mailboxes[lease.mailbox]


class OverwritesPositions(MemoryStorage):
    """A position that holds another mail is taken away from it."""

    def intake_put(self, mails, **options):
        for mail in mails:
            if mail.position:
                self._slots_at(mail.position).pop(mail.position.uid, None)
        return super().intake_put(mails, **options)


class WorksAfterClose(MemoryStorage):
    """Closing closes nothing."""

    def close(self):
        pass


class SwallowsErrors(MemoryStorage):
    """What a hook raises becomes an error of the storage."""

    def conclude(self, claim, write):
        def wrapped(tx):
            try:
                return write(tx)
            except Exception as error:
                raise StaleWriteError("lost", expected=1, found=2) from error

        return super().conclude(claim, wrapped)


class CommitsBeforeTheHookFails(SqliteStorage):
    """The host's rows stay when the conclusion is refused."""

    def conclude(self, claim, write):
        def committing(tx):
            conclusion = write(tx)
            tx.set_authorizer(None)
            tx.execute("COMMIT")
            tx.execute("BEGIN IMMEDIATE")
            tx.execute("SAVEPOINT mailrouting_hook")
            return conclusion

        return super().conclude(claim, committing)


class LetsHooksUseIt(MemoryStorage):
    """A hook may write through the storage that stores its outcome."""

    def remember_threads(self, records):
        writing, self._writing = self._writing, False
        try:
            super().remember_threads(records)
        finally:
            self._writing = writing


CAUGHT = [
    (PutsOneByOne, "test_put_is_one_transaction"),
    (PutsOneByOne, "test_death_while_putting"),
    (ConcludesInTwoSteps, "test_death_while_concluding"),
    (CountsAttemptsLater, "test_death_while_claiming"),
    (ForgetsLeases, "test_everything_survives"),
    (ClaimsTwice, "test_a_row_is_claimed_once"),
    (ClaimsTwice, "test_threads_share_a_storage"),
    (ConcludesAgain, "test_an_outcome_is_for_ever"),
    (ConcludesAgain, "test_write_runs_once"),
    (ConcludesAgain, "test_against_the_reference"),
    (TrustsGreaterUidvalidity, "test_generations_count_up"),
    (CutsAtNul, "test_raw_mail_is_whole"),
    (FoldsCase, "test_texts_are_compared_exactly"),
    (KeepsAttempts, "test_an_attempt_given_back"),
    (SortsUidsAsText, "test_unacknowledged_lowest_first"),
    (IgnoresLostLeases, "test_a_lost_lease_writes_nothing"),
    (OverwritesPositions, "test_put_results_in_order"),
    (OverwritesPositions, "test_against_the_reference"),
    (WorksAfterClose, "test_use_after_close"),
    (SwallowsErrors, "test_a_write_that_raises"),
    (CommitsBeforeTheHookFails, "test_the_host_commits_with_us"),
    (LetsHooksUseIt, "test_misuse_is_stopped"),
]


def run(adapter, name, folder, **arguments):
    """Run one test of the kit as an author's test class would."""

    class Kit(StorageConformance):
        def opener(self, fresh_dir):
            if issubclass(adapter, SqliteStorage):
                return partial(adapter, fresh_dir / "mail.db")
            return adapter

        def host_write(self, tx, word):
            if issubclass(adapter, SqliteStorage):
                super().host_write(tx, word)

    kit = Kit()
    test = getattr(kit, name)
    wanted = inspect.signature(test).parameters
    if "kind" in wanted:
        arguments["kind"] = ValueError
    if "how" in wanted:
        arguments |= {"how": "storage", "swallowed": False}
    if "tmp_path" in wanted:
        test(tmp_path=folder)
    else:
        with kit.opener(folder)() as storage:
            test(storage=storage, **arguments)


@pytest.mark.parametrize(("adapter", "name"), CAUGHT)
def test_planted_defect_is_caught(adapter, name, tmp_path):
    """Each planted defect fails the test that is there for it."""
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run(adapter, name, tmp_path)


@pytest.mark.parametrize("name", sorted({name for _, name in CAUGHT}))
def test_sound_adapter_passes_the_same_way(name, tmp_path):
    """The same tests, run the same way, pass with the adapter that has no defect."""
    run(SqliteStorage, name, tmp_path)


def test_failure_reads_as_a_sentence(tmp_path):
    """A failure names the obligation and says what happened."""
    with pytest.raises(AssertionError, match=r"S5: b'\\x00' came back as b''"):
        run(CutsAtNul, "test_raw_mail_is_whole", tmp_path)


def test_skip_names_the_capability(tmp_path):
    """A test that does not apply says which capability is not declared, and what it means."""
    with pytest.raises(
        pytest.skip.Exception, match="MemoryStorage does not declare DURABLE"
    ) as skip:
        run(MemoryStorage, "test_everything_survives", tmp_path)
    assert Capability.DURABLE.value in str(skip.value)


def test_overridden_test_is_refused():
    """A test of the kit cannot be overridden; the error says what to write instead."""
    with pytest.raises(TypeError, match=r'known_gaps = \{"test_close_twice"'):
        type(
            "TestMine",
            (StorageConformance,),
            {"opener": lambda self, folder: MemoryStorage, "test_close_twice": lambda self: None},
        )


def test_missing_hook_is_one_error():
    """A class without the hook is refused when it is made; the error says what to write."""
    with pytest.raises(TypeError, match=r"(?s)TestMine must say.*def opener\(self, fresh_dir\)"):
        type("TestMine", (StorageConformance,), {})


def test_known_gap_is_strict():
    """A known gap becomes a strict xfail with its reason, for that class alone."""
    kit = type(
        "TestMine",
        (StorageConformance,),
        {
            "opener": lambda self, folder: MemoryStorage,
            "known_gaps": {"test_misuse_is_stopped": "issue 12"},
        },
    )
    marks = {mark.name: mark for mark in kit.test_misuse_is_stopped.pytestmark}
    assert marks["xfail"].kwargs == {"strict": True, "reason": "issue 12"}
    assert "parametrize" in marks
    kept = [mark.name for mark in StorageConformance.test_misuse_is_stopped.pytestmark]
    assert "xfail" not in kept


def test_unknown_gap_is_refused():
    """A gap that names no test is a mistake, not a gap."""
    with pytest.raises(TypeError, match="test_nothing"):
        type(
            "TestMine",
            (StorageConformance,),
            {"opener": lambda self, folder: MemoryStorage, "known_gaps": {"test_nothing": ""}},
        )


def test_shared_transaction_without_sql_needs_its_hooks(tmp_path):
    """An adapter whose `tx` runs no SQL is told which two hooks to write."""

    class Kit(StorageConformance):
        def opener(self, fresh_dir):
            return MemoryStorage

    with MemoryStorage() as storage, pytest.raises(TypeError, match="host_write"):
        Kit().test_the_host_commits_with_us(storage)


def test_account_store_without_an_opener_is_told(tmp_path):
    """An account store's class without the hook says so."""
    with pytest.raises(TypeError, match="opener"):
        AccountStoreConformance().test_versions(tmp_path)
