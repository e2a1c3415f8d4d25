"""Read an intake row from its columns (floor 6)."""

from collections.abc import Sequence
from typing import Any

from mailrouting.reading import MailIdentity
from mailrouting.records import IntakeRow, IntakeState
from mailrouting.stores._texts import envelope_from_text, failure_from_text, outcome_from_text
from mailrouting.stores._values import instant, moment

__all__ = ["ROW", "ROW_WIDTH", "intake_row"]

ROW = (
    "i.id, i.account_id, i.identity_version, i.fingerprint, i.delivery, i.content, i.size, i.state,"
    " i.attempts, i.stored_at, i.received_at, i.next_attempt_at, i.failure, i.outcome, i.envelope,"
    " i.reopened, i.has_raw, i.is_backlog"
)
ROW_WIDTH = ROW.count(",") + 1


def intake_row(columns: Sequence[Any]) -> IntakeRow:
    """Return the row of `ROW`'s columns."""
    (
        intake_id, account_id, version, fingerprint, delivery, content, size, state,
        attempts, stored_at, received_at, next_attempt_at, failure, outcome, envelope, reopened, has_raw,
        is_backlog,
    ) = columns  # fmt: skip
    return IntakeRow(
        id=intake_id,
        account_id=account_id,
        identity=MailIdentity(
            version=version, fingerprint=fingerprint, delivery=delivery, content=content
        ),
        size=size,
        state=IntakeState(state),
        attempts=attempts,
        stored_at=instant(stored_at),
        received_at=moment(received_at),
        next_attempt_at=moment(next_attempt_at),
        failure=failure_from_text(failure),
        outcome=outcome_from_text(outcome),
        envelope=envelope_from_text(envelope),
        reopened=reopened,
        has_raw=bool(has_raw),
        is_backlog=bool(is_backlog),
    )
