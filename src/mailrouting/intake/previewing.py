"""Count what a first run would do."""

from datetime import datetime

from mailrouting.accounts import EmailAccount, FirstRunKind, InboundSettings
from mailrouting.errors import MailroutingError
from mailrouting.intake.calling import calling
from mailrouting.intake.collecting import cutoff
from mailrouting.intake.numbering import arrivals
from mailrouting.intake.reports import FirstRunPreview
from mailrouting.reading import arrived_at
from mailrouting.session import SessionOpener

__all__ = ["preview"]


def preview(
    account: EmailAccount, inbound: InboundSettings, open_session: SessionOpener, *, now: datetime
) -> FirstRunPreview:
    """Count, as a first run now would see it. No mail is read, nothing is written.

    Raises:
        SessionError: The mailbox cannot be opened.
        ConfigurationError: Likewise, because of a setting.
        HookError: `open_session` raised.
    """
    before = cutoff(inbound.first_run, now)
    total = older = 0
    with calling("open_session", may_say=(MailroutingError,)):
        session = open_session(account)
    try:
        session.open_folder(inbound.folder, writable=False)
        for window in session.list_uids():
            total += len(window)
            if before is None:
                continue
            if inbound.first_run.kind is FirstRunKind.ONLY_NEW:
                older += len(window)
                continue
            moments = arrivals(session, window, by_header=arrived_at).values()
            older += sum(moment is not None and moment < before for moment in moments)
    finally:
        session.close()
    return FirstRunPreview(
        account_id=account.id, total=total, older=older, would_take=total - older
    )
