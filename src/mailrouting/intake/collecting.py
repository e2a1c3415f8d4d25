"""Read what is not known yet from an open folder, in batches."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import attrs

from mailrouting.accounts import FirstRun, FirstRunKind, InboundSettings
from mailrouting.errors import PeerProtocolError, SessionError
from mailrouting.reading import identify
from mailrouting.records import IntakeMail, Position, Stream, Uid
from mailrouting.session import MailSession, RawMail
from mailrouting.storage import Storage

__all__ = ["Batch", "Collector", "FetchLimits", "cutoff"]

_FIRST_GENERATION = 1
# Mail that is new to us may carry an arrival time before our first run when clocks differ.
_CLOCK_SKEW = timedelta(hours=1)


@attrs.frozen(kw_only=True)
class FetchLimits:
    """Bound what one run holds and how long its holds last.

    Attributes:
        lease_seconds: How long a mailbox stays ours when a worker dies.
        visibility_seconds: How long a claimed mail stays ours when a worker dies.
        max_attempts: Tries of a mail before it is quarantined.
        batch_bytes: A put is made when this many bytes are read.
        batch_mails: And at latest after this many mails.
        claim_mails: Mails claimed at once; they are in memory together. A mail that kills the
            process costs each of them an attempt, so more than one is for hosts whose storage is
            far away.
    """

    lease_seconds: float = 900.0
    visibility_seconds: float = 600.0
    max_attempts: int = 5
    batch_bytes: int = 2 * 1024 * 1024
    batch_mails: int = 200
    claim_mails: int = 1


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
        cut_short: True when the session broke while the batch was read; what was read is whole.
    """

    mails: tuple[IntakeMail, ...] = ()
    old: tuple[Position, ...] = ()
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
        unread: Mails that the server lists and does not give out, or not whole; they stay there.
    """

    account_id: str
    inbound: InboundSettings
    session: MailSession
    storage: Storage[object]
    stream: Stream
    uidnext: int | None
    limits: FetchLimits
    unread: list[Uid] = attrs.field(factory=list[Uid])

    def batches(self) -> Iterator[Batch]:
        """Yield what is not known yet, at most `max_per_fetch` mails together.

        A batch must be stored before the next one is asked for. Mail that cannot be read takes no
        place of another's.

        Raises:
            SessionError: The session broke; what was read before was yielded.
        """
        budget = self.inbound.max_per_fetch
        for window in self.session.list_uids():
            known = self.storage.positions(self.stream.mailbox, self.stream.generation, window)
            unknown = [uid for uid in window if uid not in known]
            old = self._old(unknown)
            if old:
                yield Batch(old=tuple(self._position(uid) for uid in unknown if uid in old))
            wanted = [uid for uid in unknown if uid not in old]
            while wanted and budget:
                some = wanted[: min(budget, self.limits.batch_mails)]
                del wanted[: len(some)]
                for batch in self._read(some):
                    budget -= len(batch.mails)
                    yield batch
            if not budget:
                return

    @property
    def trouble(self) -> PeerProtocolError | None:
        """Say what is wrong with mail that was not read; None when nothing is."""
        if not self.unread:
            return None
        return PeerProtocolError(
            f"the server lists {len(self.unread)} mails that it does not give out whole, "
            f"UID {self.unread[0]} first",
            account_id=self.account_id,
            command="FETCH",
            hint="They stay there and are tried again; look at them with another program.",
        )

    def _old(self, uids: list[Uid]) -> frozenset[Uid]:
        stream = self.stream
        if stream.cutoff is None or not uids:
            return frozenset()
        first_ever = stream.is_new and stream.generation == _FIRST_GENERATION
        if first_ever and self.inbound.first_run.kind is FirstRunKind.ONLY_NEW:
            # One that comes in while we look is new.
            return frozenset(uid for uid in uids if self.uidnext is None or int(uid) < self.uidnext)
        return frozenset(
            info.uid
            for info in self.session.stat(uids)
            if info.received_at is not None and info.received_at < stream.cutoff
        )

    def _read(self, uids: list[Uid]) -> Iterator[Batch]:
        mails: list[IntakeMail] = []
        size = 0
        missing = set(uids)
        read = self.session.read(uids)
        while True:
            try:
                mail = next(read, None)
            except SessionError:
                # A mail that breaks every session must not take those before it along.
                if mails:
                    yield Batch(mails=tuple(mails), cut_short=True)
                raise
            if mail is None:
                break
            missing.discard(mail.uid)
            mails.append(self._intake_mail(mail))
            size += len(mail.raw)
            if size >= self.limits.batch_bytes:
                yield Batch(mails=tuple(mails))
                mails, size = [], 0
        if mails:
            yield Batch(mails=tuple(mails))
        self._note_unread(missing)

    def _note_unread(self, missing: set[Uid]) -> None:
        """Tell mail that vanished meanwhile from mail that is there and cannot be read."""
        if missing:
            self.unread += [info.uid for info in self.session.stat(sorted(missing))]

    def _intake_mail(self, mail: RawMail) -> IntakeMail:
        return IntakeMail(
            account_id=self.account_id,
            raw=mail.raw,
            identity=identify(mail.raw, received_at=mail.received_at),
            position=self._position(mail.uid),
            received_at=mail.received_at,
        )

    def _position(self, uid: Uid) -> Position:
        return Position(self.stream.mailbox, self.stream.generation, uid)
