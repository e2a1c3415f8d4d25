"""Stores with one planted defect each, and the tests of the kits that must catch them."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import attrs

from mailrouting.auth import MailProtocol
from mailrouting.errors import StaleWriteError, StorageUnavailableError
from mailrouting.records import Claims, IntakeState, OutcomeKind
from mailrouting.stores._values import refuse_reopening
from mailrouting.stores.memory import MemoryAccounts, MemoryStorage
from mailrouting.stores.sqlite import SqliteStorage


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
            unwatched = sqlite3.Cursor(tx)
            unwatched.execute("COMMIT")
            unwatched.execute("BEGIN IMMEDIATE")
            unwatched.execute("SAVEPOINT mailrouting_hook")
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


class GivesALeaseTwice(MemoryStorage):
    """Who asks for a mailbox gets it."""

    def lease_acquire(self, mailbox, **options):
        self._mailboxes.pop(mailbox, None)
        return super().lease_acquire(mailbox, **options)


class LooksBeforeItLeases(MemoryStorage):
    """A mailbox is looked at in one step and taken in another."""

    def lease_acquire(self, mailbox, *, now=None, **options):
        state = self._mailboxes.get(mailbox)
        if state is not None and state.lease is not None and state.lease.expires_at > now:
            return None
        self._mailboxes.pop(mailbox, None)
        return super().lease_acquire(mailbox, now=now, **options)


class OpensInTwoSteps(SqliteStorage):
    """The numbering is read in one transaction and written in another."""

    def stream_open(self, lease, *, uidvalidity, uidnext, **options):
        [(generation, known)] = self._executor.rows(
            "SELECT generation, uidvalidity FROM mailrouting_mailbox WHERE account_id = ?",
            (lease.mailbox.account_id,),
        )
        renumbered = generation is not None and known != uidvalidity
        return super().stream_open(
            lease, uidvalidity=uidvalidity, uidnext=uidnext, renumbered=renumbered
        )


class PutsBesideTheLock(SqliteStorage):
    """Whether a mail is known is asked before the transaction."""

    def intake_put(self, mails, *, lease, **options):
        self.known = SqliteStorage._known(self, mails)
        self.held = SqliteStorage._held(self, self._leased(lease), mails)
        return super().intake_put(mails, lease=lease, **options)

    def _known(self, mails):
        return dict(self.known)

    def _held(self, mailbox_id, mails):
        return dict(self.held)


class ClaimsBesideTheLock(SqliteStorage):
    """Which row is free is asked before the transaction that takes it."""

    def _pages(self, query, parameters, size, after):
        yield from self.seen

    def intake_claim(self, **options):
        rows = self._executor.rows(
            "SELECT id, attempts FROM mailrouting_intake"
            " WHERE outcome_kind IS NULL AND claimed_until IS NULL AND account_id = ?",
            tuple(options["account_ids"]),
        )
        self.seen = [*rows]
        return super().intake_claim(**options) if rows else Claims()


class ConcludesWithoutItsClaim(SqliteStorage):
    """The claim is checked before the transaction, not in it."""

    def conclude(self, claim, write):
        SqliteStorage._check_claim(self, claim)
        return super().conclude(claim, write)

    def _check_claim(self, claim):
        pass


class ListsNewestThreadsFirst(MemoryStorage):
    """The latest record of an id comes first."""

    def find_threads(self, message_ids):
        return super().find_threads(message_ids)[::-1]


class ListsRowsBackwards(MemoryStorage):
    """The newest row comes first."""

    def intake_rows(self, **options):
        return super().intake_rows(**options)[::-1]


class IgnoresTheOutcome(MemoryStorage):
    """Rows are listed whatever their outcome."""

    def intake_rows(self, *, outcome=None, **options):
        return super().intake_rows(**options)


class CountsAMailAsItsOwnCopy(MemoryStorage):
    """The row that is to be left out is listed, too."""

    def intake_rows(self, *, other_than=None, **options):
        return super().intake_rows(**options)


class LetsDatabaseErrorsOut(SqliteStorage):
    """A busy database says so in its own words."""

    def __init__(self, path):
        super().__init__(path, busy_timeout_seconds=0.01)

    def remember_threads(self, records):
        try:
            super().remember_threads(records)
        except StorageUnavailableError as error:
            raise error.__cause__ from None


class WritesBeforeItLocks(MemoryStorage):
    """The host's rows are written before the claim is looked at."""

    def conclude(self, claim, write):
        conclusion = write(None)
        return super().conclude(claim, lambda _: conclusion)


class AbandonsTheLeaseOnly(MemoryStorage):
    """What a dead worker has claimed stays claimed."""

    def abandon(self, worker):
        opened, self._open = self._open, {}
        super().abandon(worker)
        self._open = opened


class DoubtsTheProbe(MemoryStorage):
    """A renumbering is believed from numbers only."""

    def stream_open(self, lease, *, renumbered=False, **options):
        return super().stream_open(lease, **options)


class MovesTheFirstUidnext(MemoryStorage):
    """The first uidnext is the last one told."""

    def stream_open(self, lease, *, uidnext, **options):
        stream = super().stream_open(lease, uidnext=uidnext, **options)
        return attrs.evolve(stream, first_uidnext=uidnext)


class ForgetsSizes(MemoryStorage):
    """A position tells the size of no mail."""

    def positions(self, mailbox, generation, uids):
        found = super().positions(mailbox, generation, uids)
        return {uid: attrs.evolve(state, size=0) for uid, state in found.items()}


class SortsLatestAsText(MemoryStorage):
    """UID 99 is later than UID 100."""

    def latest_positions(self, mailbox, generation, *, limit):
        found = super().latest_positions(mailbox, generation, limit=10**6)
        return tuple(sorted(found, key=lambda item: item[0], reverse=True)[:limit])


class TakesUniqueIdsForNumbers(MemoryStorage):
    """POP3's unique-ids are put in order."""

    def latest_positions(self, mailbox, generation, *, limit):
        imap = attrs.evolve(mailbox, protocol=MailProtocol.IMAP)
        self._slots[imap, generation] = self._slots.get((mailbox, generation), {})
        return super().latest_positions(imap, generation, limit=limit)


class NeverRescans(MemoryStorage):
    """A mail that a server renders anew is another mail."""

    def intake_put(self, mails, *, rescan=False, **options):
        return super().intake_put(mails, **options)


class AlwaysRescans(MemoryStorage):
    """A mail of the same delivery is the same mail, always."""

    def intake_put(self, mails, *, rescan=False, **options):
        return super().intake_put(mails, rescan=True, **options)


class TakesTheFirstOfSeveral(MemoryStorage):
    """Of several rows of one delivery the first is the mail."""

    def intake_put(self, mails, **options):
        self._by_delivery = {name: ids[:1] for name, ids in self._by_delivery.items()}
        return super().intake_put(mails, **options)


class KnowsNoDeliveryAtItsPosition(SqliteStorage):
    """A mail that a server renders anew conflicts with itself."""

    def _held(self, mailbox_id, mails):
        return {
            slot: attrs.evolve(held, delivery="")
            for slot, held in super()._held(mailbox_id, mails).items()
        }


class ReopensTickets(MemoryStorage):
    """Any outcome can be taken back."""

    def intake_reopen(self, intake_id, *, now=None):
        intake = self._intake_at(intake_id)
        if intake.row.outcome is not None:
            intake.row = attrs.evolve(
                intake.row, outcome=attrs.evolve(intake.row.outcome, kind=OutcomeKind.FILTERED)
            )
        return super().intake_reopen(intake_id, now=now)


class KeepsAttemptsWhenItReopens(MemoryStorage):
    """A reopened row goes on counting."""

    def intake_reopen(self, intake_id, *, now=None):
        attempts = self._intake_at(intake_id).row.attempts
        row = super().intake_reopen(intake_id, now=now)
        self._intake[intake_id].row = attrs.evolve(row, attempts=attempts)
        return self._intake[intake_id].row


class ReopensTwice(SqliteStorage):
    """Whether a row can be reopened is asked before the transaction."""

    def intake_reopen(self, intake_id, *, now=None):
        row = self.intake_row(intake_id)
        refuse_reopening(row)
        with self._executor.begin():
            self._executor.execute(
                "UPDATE mailrouting_intake SET state = 'waiting', attempts = 0, outcome = NULL,"
                " reopened = reopened + 1, outcome_kind = NULL WHERE id = ?",
                (intake_id,),
            )
        return self.intake_row(intake_id)


class ClaimsTriedMailTogether(MemoryStorage):
    """A mail that its worker died of is claimed with others."""

    def intake_claim(self, *, limit, max_attempts, **options):
        claimed, quarantined = [], []
        while len(claimed) < limit:
            found = super().intake_claim(limit=1, max_attempts=max_attempts, **options)
            quarantined += found.quarantined
            if not found.claimed:
                break
            claimed += found.claimed
        return Claims(claimed=tuple(claimed), quarantined=tuple(quarantined))


class QuarantinesInSilence(MemoryStorage):
    """Nobody is told of a row that was tried too often."""

    def intake_claim(self, **options):
        return attrs.evolve(super().intake_claim(**options), quarantined=())


class BelievesLeasesFromTheFuture(MemoryStorage):
    """A lease holds whoever's clock made it."""

    def lease_acquire(self, mailbox, *, now=None, **options):
        state = self._mailboxes.get(mailbox)
        if state is not None and state.taken_at is not None:
            state.taken_at = min(state.taken_at, now)
        return super().lease_acquire(mailbox, now=now, **options)


class BelievesClaimsFromTheFuture(MemoryStorage):
    """A claim holds whoever's clock made it."""

    def intake_claim(self, *, now=None, **options):
        for intake in self._open.values():
            if intake.claimed_at is not None:
                intake.claimed_at = min(intake.claimed_at, now)
        return super().intake_claim(now=now, **options)


class WaitsForEver(MemoryStorage):
    """A wait is as long as some clock said."""

    def intake_claim(self, *, now=None, **options):
        waits = {}
        for intake in self._open.values():
            if intake.row.next_attempt_at is not None and intake.row.next_attempt_at > now:
                waits[intake.row.id] = self._open[intake.row.id]
        self._open = {key: one for key, one in self._open.items() if key not in waits}
        try:
            return super().intake_claim(now=now, **options)
        finally:
            self._open.update(waits)


class PausesAnew(MemoryStorage):
    """A pause that is said again begins again."""

    def pause(self, account_id, **options):
        self._pauses.pop(account_id, None)
        super().pause(account_id, **options)


class ForgetsTheProbe(MemoryStorage):
    """A desk's health loses a field on its way."""

    def save_desk_health(self, health):
        super().save_desk_health(attrs.evolve(health, next_probe_at=None))


class CountsOutcomesOnly(MemoryStorage):
    """Rows without an outcome do not count."""

    def outcome_counts(self, account_id=None):
        return {
            account: {kind: n for kind, n in counts.items() if isinstance(kind, OutcomeKind)}
            for account, counts in super().outcome_counts(account_id).items()
        }


class CountsInTwoSteps(MemoryStorage):
    """A counter is read in one step and written in another."""

    def count(self, bucket, key, *, window_seconds, now=None):
        begin = now - timedelta(seconds=window_seconds)
        hits = [at for at in self._hits.get((bucket, key), ()) if at > begin]
        hits.append(now)
        self._hits[bucket, key] = hits
        return len(hits)


class NeverForgetsHits(MemoryStorage):
    """A hit counts for ever."""

    def count(self, bucket, key, *, window_seconds, now=None):
        return super().count(bucket, key, window_seconds=10**9, now=now)


class PurgesWhatWaits(MemoryStorage):
    """Mail goes by its age alone."""

    def purge(self, *, before, limit):
        old = [one.row.id for one in self._intake.values() if one.row.stored_at < before]
        return self.erase(old[:limit])


class PurgesTheRow(MemoryStorage):
    """A purged mail is not known when it comes again."""

    def purge(self, *, before, limit):
        gone = super().purge(before=before, limit=limit)
        kept = {one.row.id for one in self._intake.values() if one.row.has_raw}
        self._by_fingerprint = {
            name: intake_id for name, intake_id in self._by_fingerprint.items() if intake_id in kept
        }
        return gone


class GivesBackLostClaims(MemoryStorage):
    """Whoever gives a claim back ends it, though another holds it now."""

    def intake_give_back(self, claims):
        held = {key: intake.claim_token for key, intake in self._open.items()}
        super().intake_give_back(
            [attrs.evolve(one, token=held.get(one.row.id, one.token)) for one in claims]
        )


class KeepsAttemptsGivenBack(MemoryStorage):
    """Claims that are given back cost their attempt."""

    def intake_give_back(self, claims):
        super().intake_give_back(claims)
        for claim in claims:
            intake = self._open.get(claim.row.id)
            if intake and not intake.claimed_until:
                attempts = intake.row.attempts + 1
                intake.row = attrs.evolve(intake.row, attempts=attempts)


class KnowsDeliveriesOfAll(MemoryStorage):
    """The delivery of another account is known."""

    def known_deliveries(self, account_id, deliveries):
        known = {delivery for _, _, delivery in self._by_delivery}
        return frozenset(known & set(deliveries))


class ErasesTheBytesOnly(MemoryStorage):
    """Envelope and failure outlive the erasure."""

    def erase(self, intake_ids):
        before = {key: self._intake[key].row for key in intake_ids if key in self._intake}
        erased = super().erase(intake_ids)
        for key, row in before.items():
            now = self._intake[key].row
            self._intake[key].row = attrs.evolve(now, envelope=row.envelope, failure=row.failure)
        return erased


class RemovesSharedFiles(SqliteStorage):
    """A file of the spool goes with the first row that names it."""

    def _unspool(self, key):
        self._spool.remove(key)


class KeepsLargeMailInMemory(SqliteStorage):
    """A large mail is gone when the storage is closed."""

    def close(self):
        for path in Path(self._spool.folder).glob("*"):
            path.unlink()
        super().close()


class SavesOverAnything(MemoryAccounts):
    """The last who saves wins."""

    def save(self, account, *, expected_version):
        return super().save(account, expected_version=self.version(account.id))


class CountsVersionsAnew(MemoryAccounts):
    """A removed account begins again with its first version."""

    def remove(self, account_id):
        super().remove(account_id)
        self._count = 0


class ChangesItsDirectory(MemoryAccounts):
    """A directory that was returned follows the store."""

    def directory(self):
        found = super().directory()
        self.given = getattr(self, "given", found)
        object.__setattr__(self.given, "accounts", found.accounts)
        return self.given


class ListsAsSaved(MemoryAccounts):
    """Accounts stand in the order in which they were saved."""

    def directory(self):
        return attrs.evolve(super().directory(), accounts=tuple(self._accounts.values()))


class KeepsAsciiOnly(MemoryAccounts):
    """What is not ASCII is dropped."""

    def save(self, account, *, expected_version):
        name = account.address.name.encode("ascii", "ignore").decode()
        changed = attrs.evolve(account, address=attrs.evolve(account.address, name=name))
        return super().save(changed, expected_version=expected_version)


class AsksForSoManyAtMost(SqliteStorage):
    """More ids than one statement takes are cut, not asked for in pieces."""

    def positions(self, mailbox, generation, uids):
        return super().positions(mailbox, generation, list(uids)[:32_766])


TWINS = (
    ("S1", GivesALeaseTwice, "test_one_lease_at_a_time"),
    ("S1", LooksBeforeItLeases, "test_leasing_at_once"),
    ("S2", IgnoresLostLeases, "test_a_lost_lease_writes_nothing"),
    ("S3", TrustsGreaterUidvalidity, "test_generations_count_up"),
    ("S3", OpensInTwoSteps, "test_opening_at_once"),
    ("S4", PutsOneByOne, "test_put_is_one_transaction"),
    ("S4", PutsOneByOne, "test_death_while_putting"),
    ("S4", PutsBesideTheLock, "test_putting_at_once"),
    ("S4", OverwritesPositions, "test_put_results_in_order"),
    ("S4", OverwritesPositions, "test_against_the_reference"),
    ("S5", CutsAtNul, "test_raw_mail_is_whole"),
    ("S6", CountsAttemptsLater, "test_death_while_claiming"),
    ("S6", ClaimsTwice, "test_a_row_is_claimed_once"),
    ("S6", ClaimsTwice, "test_threads_share_a_storage"),
    ("S6", ClaimsBesideTheLock, "test_claiming_at_once"),
    ("S6", QuarantinesInSilence, "test_quarantined_rows_are_told"),
    ("S7", ConcludesInTwoSteps, "test_death_while_concluding"),
    ("S7", SwallowsErrors, "test_a_write_that_raises"),
    ("S7", CommitsBeforeTheHookFails, "test_the_host_commits_with_us"),
    ("S7", ConcludesWithoutItsClaim, "test_concluding_at_once"),
    ("S8", ConcludesAgain, "test_an_outcome_is_for_ever"),
    ("S8", ConcludesAgain, "test_write_runs_once"),
    ("S8", ConcludesAgain, "test_against_the_reference"),
    ("S9", KeepsAttempts, "test_an_attempt_given_back"),
    ("S10", ForgetsSizes, "test_positions_tell_of_their_rows"),
    ("S10", SortsUidsAsText, "test_unacknowledged_lowest_first"),
    ("S11", ListsNewestThreadsFirst, "test_threads"),
    ("S12", ListsRowsBackwards, "test_listing"),
    ("S12", IgnoresTheOutcome, "test_rows_of_an_outcome"),
    ("S4", CountsAMailAsItsOwnCopy, "test_accounts_are_apart"),
    ("S13", FoldsCase, "test_texts_are_compared_exactly"),
    ("S14", WorksAfterClose, "test_use_after_close"),
    ("S15", ForgetsLeases, "test_everything_survives"),
    ("S15", KeepsLargeMailInMemory, "test_large_mail_survives"),
    ("S16", LetsDatabaseErrorsOut, "test_a_busy_storage"),
    ("S17", WritesBeforeItLocks, "test_write_runs_once"),
    ("S18", LetsHooksUseIt, "test_misuse_is_stopped"),
    ("S19", AbandonsTheLeaseOnly, "test_a_dead_worker_is_abandoned"),
    ("S20", DoubtsTheProbe, "test_renumbered_by_evidence"),
    ("S20", MovesTheFirstUidnext, "test_first_uidnext"),
    ("S21", SortsLatestAsText, "test_latest_positions"),
    ("S21", TakesUniqueIdsForNumbers, "test_latest_positions_of_pop3"),
    ("S22", NeverRescans, "test_a_rescan_knows_what_a_server_renders_anew"),
    ("S22", AlwaysRescans, "test_a_rescan_knows_what_a_server_renders_anew"),
    ("S22", KnowsNoDeliveryAtItsPosition, "test_a_rescan_knows_what_a_server_renders_anew"),
    ("S22", TakesTheFirstOfSeveral, "test_a_rescan_takes_no_mail_for_another"),
    ("S23", ReopensTickets, "test_reopening_what_cannot_be"),
    ("S23", KeepsAttemptsWhenItReopens, "test_reopening"),
    ("S23", ReopensTwice, "test_reopening_at_once"),
    ("S24", ClaimsTriedMailTogether, "test_tried_mail_is_claimed_alone"),
    ("S25", BelievesLeasesFromTheFuture, "test_a_lease_from_the_future"),
    ("S25", BelievesClaimsFromTheFuture, "test_a_claim_from_the_future"),
    ("S25", WaitsForEver, "test_a_wait_into_the_far_future"),
    ("S26", PausesAnew, "test_pauses"),
    ("S26", ForgetsTheProbe, "test_desk_health"),
    ("S27", CountsOutcomesOnly, "test_outcome_counts"),
    ("S28", CountsInTwoSteps, "test_counting_at_once"),
    ("S28", NeverForgetsHits, "test_hits_within_a_window"),
    ("S29", PurgesWhatWaits, "test_purge"),
    ("S29", PurgesTheRow, "test_purge"),
    ("S29", ErasesTheBytesOnly, "test_erase"),
    ("S29", RemovesSharedFiles, "test_a_copy_outlives_the_erased"),
    ("S30", GivesBackLostClaims, "test_lost_claims_given_back"),
    ("S30", KeepsAttemptsGivenBack, "test_claims_given_back"),
    ("S31", KnowsDeliveriesOfAll, "test_known_deliveries"),
    ("S32", AsksForSoManyAtMost, "test_any_number_of_ids"),
)
"""Obligation, an adapter that breaks it, and the test of the kit that must catch it."""

ACCOUNT_TWINS = (
    ("A1", SavesOverAnything, "test_versions"),
    ("A1", CountsVersionsAnew, "test_removal"),
    ("A2", ChangesItsDirectory, "test_values"),
    ("A3", ListsAsSaved, "test_order"),
    ("A4", KeepsAsciiOnly, "test_texts"),
)
"""Likewise of account stores."""
