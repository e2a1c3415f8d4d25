"""Use one connection: see how the mailbox is numbered, take in what is new, acknowledge."""

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

from mailrouting.accounts import AcknowledgeWhen, InboundSettings
from mailrouting.errors import AccountError, PeerProtocolError
from mailrouting.hooks import Event
from mailrouting.intake.acknowledging import Acknowledger
from mailrouting.intake.aftermath import keeps_all
from mailrouting.intake.collecting import Batch, Collector, cutoff
from mailrouting.intake.holding import Hold
from mailrouting.intake.numbering import FIRST_GENERATION, is_renumbered, refuse_flood
from mailrouting.intake.progress import Progress
from mailrouting.intake.tools import Tools
from mailrouting.records import OutcomeKind, PutResult, PutStatus, Stream
from mailrouting.session import FolderStatus, MailSession

__all__ = ["Visit"]

Tx = TypeVar("Tx")

_TOLD_TOGETHER = 500
"""Mails that are acknowledged together at least, while there are more."""

_REOPENED = frozenset({OutcomeKind.QUARANTINED, OutcomeKind.FILTERED})


@attrs.define(kw_only=True)
class Visit(Generic[Tx]):
    """Go through the steps of one connection; made anew for each.

    Attributes:
        inbound: What is visited.
        session: An open connection.
        tools: Storage, clock, limits.
        convert: Converts what waits, and notes it in `progress`.
        hold: The hold on the mailbox.
        progress: What the run has done so far.
        is_kept: Whether the connection saw this folder before: then its numbering holds.
        is_wary: Whether mail may break the connection: it is read one by one.
        accepts_rescan: Whether a person said yes to old mail after a new numbering.
    """

    inbound: InboundSettings
    session: MailSession
    tools: Tools[Tx]
    convert: Callable[[], None]
    hold: Hold
    progress: Progress
    is_kept: bool = False
    is_wary: bool = False
    accepts_rescan: bool = False
    _collector: Collector | None = attrs.field(default=None, init=False)

    @property
    def broken_at(self) -> str | None:
        """The mail that was being read when the connection ended, if one was."""
        return self._collector.at if self._collector else None

    def run(self) -> None:
        """Take in, convert, acknowledge; stop early when asked to.

        Raises:
            SessionError: The connection ended or the server refused; what was stored stays.
            AccountError: A rescan waits for a person.
            StorageError: The storage failed, or another worker has the mailbox now.
        """
        status = self.session.open_folder(self.inbound.folder, writable=not keeps_all(self.inbound))
        stream = self._numbered(status)
        acknowledger = Acknowledger(
            session=self.session,
            storage=self.tools.storage,
            inbound=self.inbound,
            keep=self.hold.keep,
        )
        # What an earlier run left was converted before this connection was opened, and the lease is
        # new: a poll that finds nothing need not write.
        if acknowledger.is_awaited(self.hold.lease):
            self.hold.renew()
            self._acknowledge(acknowledger)
        self._collector = collector = self._collecting(stream, status)
        untold = 0
        for batch in collector.batches():
            self._put(batch)
            if batch.cut_short:
                continue  # the collector raises what cut it short
            untold += len(batch.mails)
            self._settle(acknowledger, tells=untold >= _TOLD_TOGETHER)
            untold %= _TOLD_TOGETHER
            if self.tools.stopping():
                break
        if untold:
            self._settle(acknowledger)
        self.progress.unread += collector.unread
        self.progress.is_settled = collector.finished and not collector.unread
        is_first = stream.is_new and stream.generation == FIRST_GENERATION
        if is_first and self.progress.too_old:
            detail = f"{self.progress.too_old} left alone, {self.progress.stored} taken in"
            self._tell(Event.FIRST_RUN, detail)

    def _numbered(self, status: FolderStatus) -> Stream:
        stream = self._stream(status)
        if stream.is_new or self.is_kept or not status.messages:
            return stream
        if not is_renumbered(self.session, self.tools.storage, stream, inbound=self.inbound):
            return stream
        return self._stream(status, renumbered=True)

    def _stream(self, status: FolderStatus, *, renumbered: bool = False) -> Stream:
        stream = self.tools.storage.stream_open(
            self.hold.lease,
            uidvalidity=status.uidvalidity,
            uidnext=status.uidnext,
            cutoff=cutoff(self.inbound.first_run, self.tools.clock()),
            renumbered=renumbered,
        )
        if stream.is_new and stream.generation > FIRST_GENERATION:
            self._tell(Event.RESCAN, f"numbering {stream.generation}")
        return stream

    def _collecting(self, stream: Stream, status: FolderStatus) -> Collector:
        def before_rescan() -> None:
            if not self.accepts_rescan:
                self._refuse_flood(stream)

        return Collector(
            account_id=self.progress.account_id,
            inbound=self.inbound,
            session=self.session,
            storage=self.tools.storage,
            stream=stream,
            uidnext=status.uidnext,
            limits=self.tools.limits,
            now=self.tools.clock(),
            before_rescan=before_rescan,
            keep=self.hold.keep,
            takes_all=self.accepts_rescan,
            passed_over=frozenset(self.progress.breaking),
            one_by_one=self.is_wary,
        )

    def _refuse_flood(self, stream: Stream) -> None:
        try:
            refuse_flood(
                self.session,
                self.tools.storage,
                stream,
                now=self.tools.clock(),
                most=self.tools.limits.rescan_mails,
            )
        except AccountError:
            self._tell(Event.RESCAN_STOPPED, f"numbering {stream.generation}")
            raise

    def _put(self, batch: Batch) -> None:
        storage, progress = self.tools.storage, self.progress
        if batch.old:
            storage.intake_skip(batch.old, lease=self.hold.lease)
            progress.too_old += len(batch.old)
            return
        results = storage.intake_put(
            batch.mails, lease=self.hold.lease, now=self.tools.clock(), rescan=batch.is_rescan
        )
        for result in results:
            if result.status is PutStatus.CREATED:
                progress.stored += 1
            elif result.status is PutStatus.REAPPEARED:
                progress.reappeared += 1
                if not batch.is_rescan:
                    self._reappeared(result)
            elif result.status is PutStatus.UID_CONFLICT:
                raise PeerProtocolError(
                    "the server shows another mail under a UID that it had given out before",
                    account_id=progress.account_id,
                    command="FETCH",
                    hint="Nothing was lost or written; ask the server's operator for a new "
                    "UIDVALIDITY.",
                )

    def _reappeared(self, result: PutResult) -> None:
        """Heed that somebody moved a mail back: what opened no ticket is tried anew."""
        assert result.intake_id is not None
        row = self.tools.storage.intake_row(result.intake_id)
        what = "waits" if row.outcome is None else row.outcome.kind.value
        if row.outcome is not None and row.outcome.kind in _REOPENED and row.has_raw:
            self.tools.storage.intake_reopen(row.id, now=self.tools.clock())
            self.progress.reopened += 1
            what = f"{what}, tried anew"
        self._tell(Event.REAPPEARED, f"intake {row.id}: {what}")

    def _settle(self, acknowledger: Acknowledger, *, tells: bool = True) -> None:
        """Convert and acknowledge what is stored, in the order that the account wants.

        Not each batch is worth the round trips: without `tells`, what was converted is acknowledged
        with later ones, or by the next run when this one breaks off.
        """
        converts_first = self.inbound.acknowledge_when is AcknowledgeWhen.CONVERTED
        if converts_first:
            self.convert()
        # Converting may take long, and one alone may talk to the server.
        self.hold.renew()
        if tells or not converts_first:
            self._acknowledge(acknowledger)
        if not converts_first:
            self.convert()

    def _acknowledge(self, acknowledger: Acknowledger) -> None:
        before = acknowledger.told
        try:
            acknowledger.acknowledge(self.hold.lease)
        finally:
            self.progress.acknowledged += acknowledger.told - before
            self.progress.refusal = acknowledger.refusal

    def _tell(self, event: Event, detail: str) -> None:
        self.tools.tell(self.progress.account_id, event, detail)
