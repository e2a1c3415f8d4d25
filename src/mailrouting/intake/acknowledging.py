"""Tell the server what became of mails, by their outcomes."""

from collections.abc import Callable, Sequence

import attrs

from mailrouting.accounts import AcknowledgeWhen, AfterAction, AfterFetch, InboundSettings
from mailrouting.errors import (
    FolderNotFoundError,
    PeerProtocolError,
    SessionError,
    SessionLostError,
)
from mailrouting.intake.aftermath import after_outcome
from mailrouting.records import Lease, Position, Uid
from mailrouting.session import MailSession, SessionFeature
from mailrouting.storage import Storage

__all__ = ["Acknowledger"]

_AT_ONCE = 500


@attrs.define(kw_only=True)
class Acknowledger:
    """Tell one session's server about mails, each at most once a session.

    Attributes:
        session: With the folder open.
        storage: Knows what the server was not told yet.
        inbound: What the account wants done.
        keep: Called before each command, to hold the mailbox; may raise.
        told: How many mails are done.
        refusal: The first clean refusal, if any: those mails stay, and are told again by the next
            run.
    """

    session: MailSession
    storage: Storage[object]
    inbound: InboundSettings
    keep: Callable[[], None]
    told: int = 0
    refusal: SessionError | None = None
    _left: set[Position] = attrs.field(factory=set[Position], init=False)
    _refused: set[AfterFetch] = attrs.field(factory=set[AfterFetch], init=False)
    _created: set[str] = attrs.field(factory=set[str], init=False)

    def acknowledge(self, lease: Lease) -> None:
        """Tell the server what it was not told yet.

        Raises:
            SessionLostError: The connection ended; the next run goes on.
            PeerProtocolError: The server broke its protocol; likewise.
            StaleWriteError: The lease is lost; the server may have been told.
            StorageUnavailableError: The storage is away; likewise.
        """
        while groups := self._pending(lease):
            for after, positions in groups.items():
                self.keep()
                done = self._done(after, positions)
                self.storage.mark_acknowledged(
                    [position for position in positions if position.uid in done], lease=lease
                )
                self.told += len(done)
                self._left.update(one for one in positions if one.uid not in done)

    def is_awaited(self, lease: Lease) -> bool:
        """Tell whether the server is to be told anything.

        Raises:
            StorageUnavailableError: The storage is away.
        """
        return bool(self._pending(lease))

    def _pending(self, lease: Lease) -> dict[AfterFetch, list[Position]]:
        """Group what is to be told by what the account wants done with it."""
        stored_is_enough = self.inbound.acknowledge_when is AcknowledgeWhen.STORED
        pending = self.storage.unacknowledged(
            lease.mailbox,
            # What is left must not keep those behind it from being seen.
            limit=_AT_ONCE + len(self._left),
            concluded_only=not stored_is_enough,
        )
        groups: dict[AfterFetch, list[Position]] = {}
        for item in pending:
            if item.position not in self._left:
                after = after_outcome(self.inbound, item.outcome)
                groups.setdefault(after, []).append(item.position)
        return groups

    def _done(self, after: AfterFetch, positions: Sequence[Position]) -> frozenset[Uid]:
        if after in self._refused:
            return frozenset()
        uids = [position.uid for position in positions]
        try:
            return self._tell(after, uids) & frozenset(uids)
        except (SessionLostError, PeerProtocolError):
            raise
        except SessionError as error:
            self.refusal = self.refusal or error
            self._refused.add(after)
            return frozenset()

    def _tell(self, after: AfterFetch, uids: Sequence[Uid]) -> frozenset[Uid]:
        match after.action:
            case AfterAction.KEEP:
                return frozenset(uids)
            case AfterAction.MARK_SEEN:
                return self._mark_seen(uids)
            case AfterAction.MOVE:
                assert after.folder is not None  # directory.problems() refuses the account else
                return self._move(uids, after.folder)
            case AfterAction.DELETE:
                if SessionFeature.FOLDERS in self.session.features:
                    return self.session.delete(uids)
                return self._delete_at_quit(uids)

    def _mark_seen(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        seen = self.session.mark_seen(uids)
        missing = [uid for uid in uids if uid not in seen]
        if not missing:
            return seen
        # A mail that vanished cannot carry a flag, and needs none.
        present = {info.uid for info in self.session.stat(missing)}
        return seen | (frozenset(missing) - present)

    def _move(self, uids: Sequence[Uid], folder: str) -> frozenset[Uid]:
        try:
            return self.session.move(uids, folder)
        except FolderNotFoundError:
            if folder in self._created:
                raise
        # Only now: to ask each time whether it exists costs a round trip.
        self._created.add(folder)
        self.session.ensure_folder(folder)
        return self.session.move(uids, folder)

    def _delete_at_quit(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Delete on POP3, which does it at QUIT: done is only what was gone at login.

        An answer to QUIT may be lost, and its command too; a mail that is recorded as deleted
        before would stay for ever.
        """
        present = [info.uid for info in self.session.stat(uids)]
        if present:
            self.session.delete(present)
        return frozenset(uids) - frozenset(present)
