"""Read what is not known yet from an open folder, in batches."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta

import attrs

from mailrouting.accounts import FirstRun, FirstRunKind, InboundSettings
from mailrouting.errors import SessionError
from mailrouting.intake.limits import FetchLimits
from mailrouting.intake.numbering import FIRST_GENERATION, arrivals, was_there
from mailrouting.reading import arrived_at, identify, stamped_at
from mailrouting.records import IntakeMail, Position, Stream, Uid
from mailrouting.session import MailSession, RawMail
from mailrouting.storage import Storage

__all__ = ["Batch", "Collector", "cutoff"]

# Mail that is new to us may carry an arrival time before our first run when clocks differ.
_CLOCK_SKEW = timedelta(hours=1)
_OLD = timedelta(days=1)
_HEADER = 256 * 1024


def cutoff(first_run: FirstRun, now: datetime) -> datetime | None:
    """Return before which arrival mail is left alone; None: all is taken in."""
    match first_run.kind:
        case FirstRunKind.ALL:
            return None
        case FirstRunKind.ONLY_NEW:
            return now - _CLOCK_SKEW
        case FirstRunKind.SINCE:
            assert first_run.since is not None  # directory.problems() refuses the account else
            return datetime.combine(first_run.since, time.min, tzinfo=UTC)


@attrs.frozen(kw_only=True)
class Batch:
    """Hold what is to be stored next.

    Attributes:
        mails: Mail to take in.
        old: Positions of mail older than the cut-off, to be remembered and left alone.
        is_rescan: These were there when the server numbered the mailbox anew.
        cut_short: True when the session broke while the batch was read; what was read is whole.
    """

    mails: tuple[IntakeMail, ...] = ()
    old: tuple[Position, ...] = ()
    is_rescan: bool = False
    cut_short: bool = False


@attrs.define(kw_only=True)
class Collector:
    """Read an open folder. Writes nothing: what it yields is for the caller to store.

    Attributes:
        account_id: The account it is read for.
        inbound: Its settings.
        session: With the folder open.
        storage: Asked which positions are known.
        stream: The present numbering.
        uidnext: What the server told when the folder was opened; mail from there on is new.
        limits: Bounds of a batch.
        now: The time of the run.
        keep: Called between mails, to hold the mailbox; may raise.
        before_rescan: Called once, before the first mail of a rescan is read; may raise.
        takes_all: Take in more than `max_per_fetch`.
        passed_over: Mails that broke the session before in this run; left for the next one.
        one_by_one: Read each mail with a command of its own, to know which one breaks a session.
        unread: Mails that the server lists and does not give out, or not whole; they stay there.
        at: The mail that is being read; None between reads.
        finished: Whether all that the server lists was looked at.
    """

    account_id: str
    inbound: InboundSettings
    session: MailSession
    storage: Storage[object]
    stream: Stream
    uidnext: int | None
    limits: FetchLimits
    now: datetime
    before_rescan: Callable[[], None]
    keep: Callable[[], None]
    takes_all: bool = False
    passed_over: frozenset[Uid] = frozenset()
    one_by_one: bool = False
    unread: list[Uid] = attrs.field(factory=list[Uid])
    at: Uid | None = attrs.field(default=None, init=False)
    finished: bool = attrs.field(default=False, init=False)
    _budget: int = attrs.field(default=0, init=False)
    _rescans: bool = attrs.field(default=False, init=False)

    def batches(self) -> Iterator[Batch]:
        """Yield what is not known yet, at most `max_per_fetch` mails together.

        A batch must be stored before the next one is asked for. Mail that cannot be read takes no
        place of another's.

        Raises:
            SessionError: The session broke; what was read before was yielded.
            AccountError: `before_rescan` refused.
            StaleWriteError: `keep` found the mailbox in another worker's hands.
        """
        self._budget = sys.maxsize if self.takes_all else self.inbound.max_per_fetch
        for window in self.session.list_uids():
            known = self.storage.positions(self.stream.mailbox, self.stream.generation, window)
            unknown = [uid for uid in window if uid not in known and uid not in self.passed_over]
            for is_rescan in (True, False):
                uids = [uid for uid in unknown if self._is_rescan(uid) is is_rescan]
                yield from self._window(uids, is_rescan=is_rescan, is_watched=bool(known))
            if not self._budget:
                return
        self.finished = True

    def _window(self, uids: list[Uid], *, is_rescan: bool, is_watched: bool) -> Iterator[Batch]:
        if is_rescan and uids and not self._rescans:
            self._rescans = True
            self.before_rescan()
        old = self._old(uids, is_watched=is_watched)
        if old:
            yield Batch(old=tuple(self._position(uid) for uid in uids if uid in old))
        wanted = [uid for uid in uids if uid not in old]
        while wanted and self._budget:
            # As many as there are, so that the session asks for the sizes of many at once.
            some = wanted[: 1 if self.one_by_one else self._budget]
            del wanted[: len(some)]
            for batch in self._read(some):
                self._budget -= len(batch.mails)
                yield attrs.evolve(batch, is_rescan=is_rescan)

    def _is_rescan(self, uid: Uid) -> bool:
        return self.stream.generation > FIRST_GENERATION and was_there(self.stream, uid)

    def _old(self, uids: list[Uid], *, is_watched: bool) -> frozenset[Uid]:
        stream = self.stream
        if stream.cutoff is None or not uids:
            return frozenset()
        only_new = self.inbound.first_run.kind is FirstRunKind.ONLY_NEW
        if only_new and stream.generation == FIRST_GENERATION:
            # Its number says that it came after us; a server's clock may be wrong.
            uids = [uid for uid in uids if was_there(stream, uid)]
            if not uids:
                return frozenset()
        if stream.is_new and stream.generation == FIRST_GENERATION and only_new:
            # One that comes in while we look is new.
            return frozenset(uid for uid in uids if self.uidnext is None or int(uid) < self.uidnext)
        by_header: Callable[[bytes], datetime | None] | None = arrived_at
        if only_new and stream.generation == FIRST_GENERATION:
            # Without the server's word, what came to a mailbox that we watch is new. Where nothing
            # is known of a window the first run may have died before it; a sender's word is too
            # little then to leave mail alone.
            by_header = None if is_watched else stamped_at
        return frozenset(
            uid
            for uid, moment in arrivals(self.session, uids, by_header=by_header).items()
            if moment is not None and moment < stream.cutoff
        )

    def _read(self, uids: list[Uid]) -> Iterator[Batch]:
        mails: list[IntakeMail] = []
        size = 0
        missing = dict.fromkeys(uids)
        read = self.session.read(uids)
        while True:
            self.at = next(iter(missing), None)
            try:
                mail = next(read, None)
            except SessionError:
                # A mail that breaks every session must not take those before it along.
                if mails:
                    yield Batch(mails=tuple(mails), cut_short=True)
                raise
            self.at = None
            if mail is None:
                break
            self.keep()
            missing.pop(mail.uid, None)
            mails.append(self._intake_mail(mail))
            size += len(mail.raw)
            if size >= self.limits.batch_bytes or len(mails) == self.limits.batch_mails:
                yield Batch(mails=tuple(mails))
                mails, size = [], 0
        if mails:
            yield Batch(mails=tuple(mails))
        self._note_unread(list(missing))

    def _note_unread(self, missing: list[Uid]) -> None:
        """Tell mail that vanished meanwhile from mail that is there and cannot be read."""
        if missing:
            self.unread += [info.uid for info in self.session.stat(missing)]

    def _intake_mail(self, mail: RawMail) -> IntakeMail:
        return IntakeMail(
            account_id=self.account_id,
            raw=mail.raw,
            identity=identify(mail.raw, received_at=mail.received_at),
            position=self._position(mail.uid),
            received_at=mail.received_at,
            is_backlog=self._is_backlog(mail),
        )

    def _is_backlog(self, mail: RawMail) -> bool:
        """Tell mail that lay there before we came, and that nothing shall answer now.

        POP3 numbers nothing, so only what the first run lists is known to have been there; of the
        rest the age must tell.
        """
        stream = self.stream
        if stream.generation == FIRST_GENERATION and stream.first_uidnext is not None:
            return was_there(stream, mail.uid)
        if stream.generation == FIRST_GENERATION and stream.is_new:
            return True
        if not was_there(stream, mail.uid):
            return False
        moment = mail.received_at or arrived_at(mail.raw[:_HEADER])
        return moment is not None and moment < self.now - _OLD

    def _position(self, uid: Uid) -> Position:
        return Position(self.stream.mailbox, self.stream.generation, uid)
