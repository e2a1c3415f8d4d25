"""Tell the host and the log what happened, without content or secrets."""

import logging

import attrs

from mailrouting.hooks import Event
from mailrouting.intake.abilities import observes

__all__ = ["Teller"]

_log = logging.getLogger(__name__)

_QUIET = frozenset(
    {
        Event.CONVERTED,
        Event.REAPPEARED,
        Event.FIRST_RUN,
        Event.RESCAN,
        Event.ACCOUNT_RECOVERED,
        Event.DESK_RESUMED,
    }
)


@attrs.frozen
class Teller:
    """Pass events on: to the desk, when it listens, and to `logging`.

    Log records have `account_id`, `event` and `detail` as attributes.

    Attributes:
        desk: The host's hooks.
    """

    desk: object

    def __call__(self, account_id: str, event: Event, detail: str) -> None:
        """Tell of one event; whoever listens and raises stops no mail."""
        level = logging.INFO if event in _QUIET else logging.WARNING
        if _log.isEnabledFor(level):
            _log.log(
                level,
                "%s: %s %s",
                account_id,
                event.value,
                detail,
                extra={"account_id": account_id, "event": event.value, "detail": detail},
            )
        if not observes(self.desk):
            return
        try:
            self.desk.observe(account_id, event, detail)
        except Exception:  # noqa: BLE001 - whoever listens stops no mail
            _log.exception("observe raised on %s", event.value)
