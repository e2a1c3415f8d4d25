"""Keep an account's connection open between its runs."""

import attrs

from mailrouting.accounts import InboundSettings
from mailrouting.errors import SessionError
from mailrouting.session import MailSession, SessionFeature

__all__ = ["KeptSession"]


@attrs.define
class KeptSession:
    """Hold one account's connection between runs, so that a poll is one question.

    Give the same one to each `Fetcher.run` of the account, and close it at last. For one thread at
    a time. A connection that cannot be kept (POP3), breaks, or was opened with other settings is
    closed and opened anew.
    """

    _session: MailSession | None = attrs.field(default=None, init=False)
    _inbound: InboundSettings | None = attrs.field(default=None, init=False)
    _is_settled: bool = attrs.field(default=False, init=False)

    @property
    def is_open(self) -> bool:
        """Whether a connection is held; between runs."""
        return self._session is not None

    @property
    def is_settled(self) -> bool:
        """Whether a connection is held whose last run left nothing to do; between runs."""
        return self.is_open and self._is_settled

    def has_nothing_new(self, inbound: InboundSettings) -> bool:
        """Ask the server, when nothing was left to do; False when that cannot be said."""
        if self._session is None or not self.is_settled or self._inbound != inbound:
            return False
        try:
            return not self._session.check()
        except SessionError:
            self.close()
            return False

    def take(self, inbound: InboundSettings) -> MailSession | None:
        """Hand out the connection; None when there is none for these settings."""
        if self._inbound != inbound:
            self.close()
        session, self._session = self._session, None
        return session

    def keep(self, session: MailSession, inbound: InboundSettings, *, is_settled: bool) -> None:
        """Take the connection back after a run.

        Args:
            session: With the folder open.
            inbound: What it was opened with.
            is_settled: Whether the run left nothing to do.
        """
        if SessionFeature.KEEPS not in session.features:
            session.close()
            return
        self._session, self._inbound, self._is_settled = session, inbound, is_settled

    def close(self) -> None:
        """Close the connection, if there is one. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
