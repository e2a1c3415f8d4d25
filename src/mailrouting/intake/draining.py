"""Convert what waits, batch by batch, as long as the host's desk takes it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Generic, TypeVar

import attrs

from mailrouting.breaker import (
    after_mail_failed,
    after_mail_succeeded,
    is_probe_due,
    may_be_blamed,
    well,
)
from mailrouting.directory import Directory
from mailrouting.errors import MailroutingError
from mailrouting.health import DeskFailure, DeskHealth
from mailrouting.hooks import Event
from mailrouting.intake.attempting import Attempts, Fate, Tried
from mailrouting.intake.reports import Converted
from mailrouting.intake.tools import Tools
from mailrouting.records import Claim, Claims

__all__ = ["Drain", "Drained"]

Tx = TypeVar("Tx")


@attrs.frozen(kw_only=True)
class Drained:
    """Say what came of converting what waits.

    Attributes:
        converted: What became of each row, in the order of the tries.
        desk: How the desk is afterwards.
    """

    converted: tuple[Converted, ...]
    desk: DeskHealth


@attrs.define(kw_only=True)
class Drain(Generic[Tx]):
    """Convert what waits, once; made anew for each time.

    A failure is held until the next mail tells what it means: it counts when another mail
    succeeds, or nothing else is there to be tried. The third in a row that fails alike pauses the
    desk, and none of the three counts.

    Attributes:
        tools: Storage, clock, limits.
        attempts: Tries the mails.
        directory: Returns what is configured; asked for each batch.
        account_ids: Only mail of these accounts; None: of all.
        name: The desk's name in the storage.
    """

    tools: Tools[Tx]
    attempts: Attempts[Tx]
    directory: Callable[[], Directory]
    account_ids: Sequence[str] | None
    name: str
    _done: dict[int, Converted | None] = attrs.field(
        factory=dict[int, Converted | None], init=False
    )
    _held: list[tuple[Tried, bool]] = attrs.field(factory=list[tuple[Tried, bool]], init=False)
    _desk: DeskHealth = attrs.field(init=False)
    _stored: DeskHealth | None = attrs.field(default=None, init=False)

    def run(self) -> Drained:
        """Go on until nothing is due, the desk is paused, or the run is to stop.

        Raises:
            StorageError: The storage itself failed.
        """
        while True:
            self._read_desk()
            if self.tools.stopping():
                break
            claims = self._claim()
            self._note_quarantined(claims)
            if not claims.claimed and not claims.quarantined:
                break
            if not self._try_batch(claims.claimed):
                break
        self._end_held(counts=True)
        self._save_desk()
        converted = tuple(item for item in self._done.values() if item is not None)
        return Drained(converted=converted, desk=self._desk)

    # claiming

    def _read_desk(self) -> None:
        """Take over what other workers found, unless we found something newer."""
        if self._stored is None or self._desk == self._stored:
            stored = self.tools.storage.desk_health(self.name)
            self._desk = self._stored = stored or well(self.name, now=self.tools.clock())

    def _claim(self) -> Claims:
        if not self._desk.paused:
            return self._claimed(limit=self.tools.limits.claim_mails)
        if not is_probe_due(self._desk, now=self.tools.clock()):
            return Claims()
        claims = self._claimed(limit=1, after_id=self._desk.last_probe)
        # Another mail each time, so that one bad one cannot keep the desk paused.
        return claims if claims.claimed else self._claimed(limit=1)

    def _claimed(self, *, limit: int, after_id: int = 0) -> Claims:
        return self.tools.storage.intake_claim(
            worker=self.tools.worker,
            limit=limit,
            visibility_seconds=self.tools.limits.visibility_seconds,
            max_attempts=self.tools.limits.max_attempts,
            account_ids=self.account_ids,
            after_id=after_id,
            now=self.tools.clock(),
        )

    def _note_quarantined(self, claims: Claims) -> None:
        for row in claims.quarantined:
            self._done[row.id] = Converted(
                intake_id=row.id, outcome=row.outcome, failure=row.failure
            )
            self.tools.tell(row.account_id, Event.QUARANTINED, f"intake {row.id}: attempts")

    # trying

    def _try_batch(self, claims: Sequence[Claim]) -> bool:
        """Try mails claimed together; False when the run is to end here."""
        directory = self.directory()
        left = list(claims)
        begin_until = self.tools.clock() + timedelta(
            seconds=self.tools.limits.visibility_seconds / 2
        )
        try:
            while left:
                if self.tools.stopping():
                    return False
                if self.tools.clock() > begin_until:
                    return True  # what is left is given back, and claimed anew
                claim = left.pop(0)
                if claim.row.id in self._done:  # due again meanwhile: no endless run
                    self.attempts.put_off(claim)
                elif not self._try(claim, directory):
                    return False
        finally:
            self._give_back(left)
        return True

    def _give_back(self, claims: Sequence[Claim]) -> None:
        if not claims:
            return
        # When it fails they come free with their visibility; what ends the run says why.
        with suppress(MailroutingError):
            self.attempts.give_back(claims)

    def _try(self, claim: Claim, directory: Directory) -> bool:
        """Try one mail; False when the desk is paused after it."""
        self._done[claim.row.id] = None
        tried = self.attempts.attempt(claim, directory)
        if tried.outcome is not None:
            self._done[claim.row.id] = Converted(intake_id=claim.row.id, outcome=tried.outcome)
            self._succeeded(claim)
            return True
        if not tried.is_sign:
            fate = Fate(counts=False)
            self._done[claim.row.id] = (
                self.attempts.taken_over(tried)
                if tried.may_count
                else self.attempts.end(tried, fate)
            )
            return True
        return self._failed(tried)

    def _succeeded(self, claim: Claim) -> None:
        before = self._desk
        self._desk = after_mail_succeeded(before, now=self.tools.clock())
        self._end_held(counts=True, is_proved=True)
        if before.paused:
            self._save_desk()
            self.tools.tell(claim.row.account_id, Event.DESK_RESUMED, self.name)

    def _failed(self, tried: Tried) -> bool:
        row, failure = tried.claim.row, tried.failure
        assert failure is not None
        now = self.tools.clock()
        before = self._desk
        is_last = may_be_blamed(before, row.id, stored_at=row.stored_at, now=now)
        self._desk = after_mail_failed(
            before,
            DeskFailure(intake_id=row.id, step=failure.step, error_type=failure.error_type),
            now=now,
            jitter=self.tools.jitter(),
        )
        if self._desk is before:  # the mail's own fault
            self._done[row.id] = self.attempts.end(tried, Fate(counts=True, is_last=is_last))
            return True
        if len(self._desk.recent) == 1:
            self._end_held(counts=True)  # what failed before failed otherwise
        self._held.append((tried, is_last))
        if not self._desk.paused:
            return True
        self._end_held(counts=False)
        self._save_desk()
        if not before.paused:
            detail = f"{self.name}: {failure.step} {failure.error_type}"
            self.tools.tell(row.account_id, Event.DESK_PAUSED, detail)
        return False

    def _end_held(self, *, counts: bool, is_proved: bool = False) -> None:
        """End what is held.

        Args:
            counts: Whether the attempts count.
            is_proved: Whether another mail showed that the desk is well.
        """
        held, self._held = self._held, []
        for tried, is_last in held:
            fate = Fate(counts=counts, is_last=is_last or is_proved)
            self._done[tried.claim.row.id] = self.attempts.end(tried, fate)

    def _save_desk(self) -> None:
        if self._desk != self._stored:
            self.tools.storage.save_desk_health(self._desk)
            self._stored = self._desk
