"""Try claimed mails: each ends in an outcome, a later try, or quarantine."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Generic, TypeVar

import attrs

from mailrouting.directory import Directory
from mailrouting.errors import HookError, StaleWriteError, StorageUnavailableError
from mailrouting.hooks import Event
from mailrouting.intake.calling import ours, storable
from mailrouting.intake.converting import Converter
from mailrouting.intake.reports import Converted
from mailrouting.intake.tools import Tools
from mailrouting.records import Claim, Conclusion, Failure, Outcome, OutcomeKind, TryLater

__all__ = ["Attempts", "Fate", "Tried"]

Tx = TypeVar("Tx")

_RETRY_AFTER = (60.0, 300.0, 1800.0, 7200.0)  # seconds, by attempt
_LONGEST_WAIT = 86_400.0


@attrs.frozen(kw_only=True)
class Tried:
    """Say how a try ended.

    Attributes:
        claim: What was tried.
        outcome: What became of the mail; None when it failed or waits.
        failure: How it failed; None when it did not.
        is_sign: Whether the failure may say something of the desk.
        may_count: Whether the attempt may count against the mail.
        seconds: How long the host wants to wait.
    """

    claim: Claim
    outcome: Outcome | None = None
    failure: Failure | None = None
    is_sign: bool = True
    may_count: bool = True
    seconds: float | None = None


@attrs.frozen(kw_only=True)
class Fate:
    """Say what a failure means for a mail.

    Attributes:
        counts: Whether the attempt counts.
        is_last: Whether the mail is given up when it was the last attempt.
    """

    counts: bool
    is_last: bool = True


@attrs.frozen(kw_only=True)
class Attempts(Generic[Tx]):
    """Try mails one by one; what happens to one harms no other.

    Attributes:
        converter: What is tried.
        tools: Storage, clock, limits.
    """

    converter: Converter[Tx]
    tools: Tools[Tx]

    def attempt(self, claim: Claim, directory: Directory) -> Tried:
        """Try one mail. What succeeds is concluded; what fails waits for `end`."""
        try:
            result = self.converter.convert(claim, directory)
        except StaleWriteError as error:  # somebody else took it over: theirs is the outcome
            return Tried(claim=claim, failure=_failure("claim", error), is_sign=False)
        except StorageUnavailableError as error:
            return Tried(claim=claim, failure=_failure("storage", error), may_count=False)
        except HookError as error:
            return Tried(claim=claim, failure=_failure(error.hook, error))
        except Exception as error:  # noqa: BLE001 - one mail's failure harms no other
            return Tried(claim=claim, failure=_failure("convert", error))
        if isinstance(result, TryLater):
            failure = Failure(step="prepare", error_type="TryLater", text=storable(result.reason))
            return Tried(
                claim=claim,
                failure=failure,
                is_sign=False,
                may_count=False,
                seconds=result.after_seconds,
            )
        quarantined = result.kind is OutcomeKind.QUARANTINED
        self._tell(claim, Event.QUARANTINED if quarantined else Event.CONVERTED, result.kind.value)
        return Tried(claim=claim, outcome=result)

    def end(self, tried: Tried, fate: Fate) -> Converted:
        """Write what a failure comes to: a later try, or quarantine.

        Raises:
            StorageUnavailableError: The storage is away, so that not even this can be kept; the
                mail is claimed again when its visibility has passed.
        """
        claim, failure = tried.claim, tried.failure
        assert failure is not None
        counts = fate.counts and tried.may_count
        try:
            if counts and fate.is_last and claim.row.attempts >= self.tools.limits.max_attempts:
                return self._quarantined(claim, failure)
            # Given up too early is worse than tried once more.
            counts = counts and claim.row.attempts < self.tools.limits.max_attempts
            self._later(tried, failure, counts=counts)
        except StaleWriteError as error:
            failure = _failure("claim", error)
        return Converted(intake_id=claim.row.id, outcome=None, failure=failure)

    def taken_over(self, tried: Tried) -> Converted:
        """Report a mail that somebody else holds now."""
        return Converted(intake_id=tried.claim.row.id, outcome=None, failure=tried.failure)

    def give_back(self, claims: Sequence[Claim]) -> None:
        """End claims that were not tried; the attempts do not count, and they are due at once."""
        self.tools.storage.intake_give_back(claims)

    def put_off(self, claim: Claim) -> None:
        """End a claim of a mail that had its try in this run already."""
        failure = claim.row.failure or Failure(step="claim", error_type="", text="not tried")
        self.tools.storage.intake_fail(
            claim,
            failure,
            retry_at=self.tools.clock() + timedelta(seconds=_RETRY_AFTER[0]),
            counts=False,
        )

    def _quarantined(self, claim: Claim, failure: Failure) -> Converted:
        reason = f"{failure.step}: {failure.text} ({claim.row.attempts} attempts)"
        conclusion = Conclusion(outcome=Outcome(kind=OutcomeKind.QUARANTINED, reason=reason))
        outcome = self.tools.storage.conclude(claim, lambda _: conclusion)
        self._tell(claim, Event.QUARANTINED, failure.error_type)
        return Converted(intake_id=claim.row.id, outcome=outcome, failure=failure)

    def _later(self, tried: Tried, failure: Failure, *, counts: bool) -> None:
        claim, seconds = tried.claim, tried.seconds
        if seconds is None:
            seconds = _RETRY_AFTER[min(claim.row.attempts, len(_RETRY_AFTER)) - 1]
        # The host's number: not a number becomes 0.
        wait = timedelta(seconds=min(max(0.0, seconds), _LONGEST_WAIT))
        self.tools.storage.intake_fail(
            claim, failure, retry_at=self.tools.clock() + wait, counts=counts
        )
        self._tell(claim, Event.FAILED, failure.error_type)

    def _tell(self, claim: Claim, event: Event, what: str) -> None:
        self.tools.tell(claim.row.account_id, event, f"intake {claim.row.id}: {what}")


def _failure(step: str, error: Exception) -> Failure:
    """Describe an error: an unexpected one by its place, as its text may hold the mail's."""
    cause = error.__cause__ if type(error) is HookError else None
    return Failure(step=step, error_type=type(cause or error).__name__, text=storable(ours(error)))
