"""Say what a run did."""

import enum

import attrs

from mailrouting.errors import MailroutingError
from mailrouting.records import Failure, Outcome, OutcomeKind, PutStatus

__all__ = [
    "Accepted",
    "Converted",
    "FetchReport",
    "FirstRunPreview",
    "RunStatus",
    "failed",
    "skipped",
]


class RunStatus(enum.Enum):
    """Say how a run of an account ended."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@attrs.frozen(kw_only=True)
class Converted:
    """Say what became of one row in this run.

    Attributes:
        intake_id: The row.
        outcome: Its outcome; None when it is tried again later.
        failure: Why it is tried again, or was quarantined after its last try.
    """

    intake_id: int
    outcome: Outcome | None
    failure: Failure | None = None


@attrs.frozen(kw_only=True)
class FetchReport:
    """Say what a run of one account did.

    Attributes:
        account_id: Which account.
        status: How it ended.
        because: Why it was skipped or failed, or the text of `error`; empty when all went well.
        stored: Mails made durable now.
        reappeared: Mails that were here already and stand at a new position.
        reopened: Those of them that had been filtered or quarantined, and are tried anew because
            somebody moved them back.
        too_old: Mails older than the account's cut-off.
        unread: Mails that the server lists and does not give out, or not whole: they stay there,
            and `error` names them.
        converted: What became of each row, in order.
        acknowledged: Mails that the server was told about, or that are kept as they are.
        error: What failed. A run that is done may have one: mail that could not be acknowledged
            is safe, and told again by the next run.
        desk_paused: Whether conversion waits because the host's desk is ill: mail is stored, and
            converted when the desk works again.
    """

    account_id: str
    status: RunStatus
    because: str = ""
    stored: int = 0
    reappeared: int = 0
    reopened: int = 0
    too_old: int = 0
    unread: int = 0
    converted: tuple[Converted, ...] = ()
    acknowledged: int = 0
    error: MailroutingError | None = None
    desk_paused: bool = False

    @property
    def outcomes(self) -> dict[OutcomeKind, int]:
        """Count the outcomes by kind."""
        kinds = [item.outcome.kind for item in self.converted if item.outcome]
        return {kind: kinds.count(kind) for kind in OutcomeKind if kind in kinds}

    @property
    def retried(self) -> int:
        """Count the mails that are tried again later."""
        return sum(item.outcome is None for item in self.converted)


@attrs.frozen(kw_only=True)
class FirstRunPreview:
    """Count what a first run of an account would do. Nothing was read or written.

    Attributes:
        account_id: Which account.
        total: Mails in the folder.
        older: Those that would be left alone, because they are older than the cut-off.
        would_take: Those that would be taken in, at most `max_per_fetch` a run.
    """

    account_id: str
    total: int
    older: int
    would_take: int


@attrs.frozen(kw_only=True)
class Accepted:
    """Say what became of mail that was pushed. It is durable.

    Attributes:
        intake_id: Its row.
        status: `CREATED`, or `KNOWN` when the same mail was accepted before.
        converted: What became of it at once; None when it waits, or had its outcome before.
    """

    intake_id: int
    status: PutStatus
    converted: Converted | None = None


def skipped(account_id: str, because: str) -> FetchReport:
    """Report a run that did not begin."""
    return FetchReport(account_id=account_id, status=RunStatus.SKIPPED, because=because)


def failed(account_id: str, error: MailroutingError) -> FetchReport:
    """Report a run that did nothing but fail."""
    return FetchReport(
        account_id=account_id, status=RunStatus.FAILED, because=str(error), error=error
    )
