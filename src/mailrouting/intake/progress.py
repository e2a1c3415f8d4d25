"""Count what a run does while it goes on."""

import attrs

from mailrouting.errors import MailroutingError, PeerProtocolError
from mailrouting.health import DeskHealth
from mailrouting.intake.reports import Converted, FetchReport, RunStatus
from mailrouting.records import Uid

__all__ = ["Progress"]


@attrs.define(kw_only=True)
class Progress:
    """Hold what one run has done so far, over all its connections.

    Attributes:
        account_id: Which account.
        breaking: Mails that broke a connection in this run.
        unread: These, and mails that the server did not give out whole.
        desk: How the host's desk is; None before anything was converted.
        refusal: Why mail was not acknowledged.
        error: Why the run failed.
        is_settled: Whether nothing was left to do.

    The others count as in `FetchReport`.
    """

    account_id: str
    stored: int = 0
    reappeared: int = 0
    reopened: int = 0
    too_old: int = 0
    acknowledged: int = 0
    breaking: list[Uid] = attrs.field(factory=list[Uid])
    unread: list[Uid] = attrs.field(factory=list[Uid])
    converted: list[Converted] = attrs.field(factory=list[Converted])
    desk: DeskHealth | None = None
    refusal: MailroutingError | None = None
    error: MailroutingError | None = None
    is_settled: bool = False

    @property
    def trouble(self) -> MailroutingError | None:
        """Say the gravest that is wrong."""
        return self.error or self.refusal or self._unread_trouble()

    @property
    def is_desk_paused(self) -> bool:
        """Tell whether conversion waits for the desk."""
        return self.desk is not None and self.desk.paused

    def report(self) -> FetchReport:
        """Say what was done."""
        trouble = self.trouble
        because = str(trouble or "")
        if trouble is None and self.is_desk_paused:
            because = "the host's desk is paused; mail is stored and waits"
        return FetchReport(
            account_id=self.account_id,
            status=RunStatus.DONE if self.error is None else RunStatus.FAILED,
            because=because,
            stored=self.stored,
            reappeared=self.reappeared,
            reopened=self.reopened,
            too_old=self.too_old,
            unread=len(self.unread),
            converted=tuple(self.converted),
            acknowledged=self.acknowledged,
            error=trouble,
            desk_paused=self.is_desk_paused,
        )

    def _unread_trouble(self) -> PeerProtocolError | None:
        if not self.unread:
            return None
        return PeerProtocolError(
            f"the server lists {len(self.unread)} mails that it does not give out whole, "
            f"UID {self.unread[0]} first",
            account_id=self.account_id,
            command="FETCH",
            hint="They stay there and are tried again; look at them with another program.",
        )
