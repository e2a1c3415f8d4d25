"""Try claimed mails: each ends in an outcome, a later try, or quarantine."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import attrs

from mailrouting.directory import Directory
from mailrouting.errors import (
    HookError,
    StaleWriteError,
    StorageUnavailableError,
)
from mailrouting.hooks import Event, Listener
from mailrouting.intake.calling import ours, storable
from mailrouting.intake.converting import Converter
from mailrouting.intake.reports import Converted
from mailrouting.records import (
    Claim,
    Conclusion,
    Failure,
    IntakeRow,
    Outcome,
    OutcomeKind,
    TryLater,
)

__all__ = ["Attempts"]

Tx = TypeVar("Tx")

_RETRY_AFTER = (60.0, 300.0, 1800.0, 7200.0)  # seconds, by attempt
_LONGEST_WAIT = 86_400.0


@attrs.frozen(kw_only=True)
class Attempts(Generic[Tx]):
    """Try mails one by one; what happens to one harms no other.

    Attributes:
        converter: What is tried.
        clock: Returns the time.
        max_attempts: Tries before a mail is quarantined.
        tell: Called with account, event and detail after each attempt.
    """

    converter: Converter[Tx]
    clock: Callable[[], datetime]
    max_attempts: int
    tell: Listener

    def attempt(self, claim: Claim, directory: Directory) -> Converted:
        """Try one mail.

        Raises:
            StorageUnavailableError: The storage is away, so that not even this can be kept; the
                mail is claimed again when its visibility has passed.
        """
        try:
            return self._attempt(claim, directory)
        except StaleWriteError as error:  # somebody else took it over: theirs is the outcome
            return Converted(intake_id=claim.row.id, outcome=None, failure=_failure("claim", error))

    def note_quarantined(self, row: IntakeRow) -> Converted:
        """Tell of a row that got its outcome instead of another try."""
        self.tell(row.account_id, Event.QUARANTINED, f"intake {row.id}: not tried again")
        return Converted(intake_id=row.id, outcome=row.outcome, failure=row.failure)

    def give_back(self, claim: Claim) -> None:
        """End a claim that was not tried; the attempt does not count."""
        failure = claim.row.failure or Failure(step="claim", error_type="", text="not tried")
        self.converter.storage.intake_fail(
            claim,
            failure,
            retry_at=self.clock() + timedelta(seconds=_RETRY_AFTER[0]),
            counts=False,
        )

    def _attempt(self, claim: Claim, directory: Directory) -> Converted:
        try:
            result = self.converter.convert(claim, directory)
        except StaleWriteError:
            raise
        except StorageUnavailableError as error:
            return self._later(claim, _failure("storage", error), counts=False)
        except HookError as error:
            return self._failed(claim, _failure(error.hook, error))
        except Exception as error:  # noqa: BLE001 - one mail's failure harms no other
            return self._failed(claim, _failure("convert", error))
        if isinstance(result, TryLater):
            text = storable(result.reason)
            failure = Failure(step="prepare", error_type="TryLater", text=text)
            return self._later(claim, failure, counts=False, seconds=result.after_seconds)
        quarantined = result.kind is OutcomeKind.QUARANTINED
        self._tell(claim, Event.QUARANTINED if quarantined else Event.CONVERTED, result.kind.value)
        return Converted(intake_id=claim.row.id, outcome=result)

    def _failed(self, claim: Claim, failure: Failure) -> Converted:
        if claim.row.attempts < self.max_attempts:
            return self._later(claim, failure, counts=True)
        reason = f"{failure.step}: {failure.text} ({claim.row.attempts} attempts)"
        conclusion = Conclusion(outcome=Outcome(kind=OutcomeKind.QUARANTINED, reason=reason))
        outcome = self.converter.storage.conclude(claim, lambda _: conclusion)
        self._tell(claim, Event.QUARANTINED, failure.error_type)
        return Converted(intake_id=claim.row.id, outcome=outcome, failure=failure)

    def _later(
        self, claim: Claim, failure: Failure, *, counts: bool, seconds: float | None = None
    ) -> Converted:
        if seconds is None:
            seconds = _RETRY_AFTER[min(claim.row.attempts, len(_RETRY_AFTER)) - 1]
        # The host's number: not a number becomes 0.
        wait = timedelta(seconds=min(max(0.0, seconds), _LONGEST_WAIT))
        retry_at = self.clock() + wait
        self.converter.storage.intake_fail(claim, failure, retry_at=retry_at, counts=counts)
        self._tell(claim, Event.FAILED, failure.error_type)
        return Converted(intake_id=claim.row.id, outcome=None, failure=failure)

    def _tell(self, claim: Claim, event: Event, what: str) -> None:
        self.tell(claim.row.account_id, event, f"intake {claim.row.id}: {what}")


def _failure(step: str, error: Exception) -> Failure:
    """Describe an error: an unexpected one by its place, as its text may hold the mail's."""
    cause = error.__cause__ if type(error) is HookError else None
    return Failure(step=step, error_type=type(cause or error).__name__, text=storable(ours(error)))
