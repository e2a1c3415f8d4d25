"""Find out whether a server numbered a mailbox anew, and what that brings back."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from mailrouting.accounts import AfterAction, InboundSettings
from mailrouting.auth import MailProtocol
from mailrouting.errors import AccountError
from mailrouting.intake.aftermath import after_outcome, keeps_all
from mailrouting.reading import MailIdentity, arrived_at, delivery_identity, identify
from mailrouting.reading.identity import IDENTITY_VERSION
from mailrouting.records import PositionState, Stream, Uid
from mailrouting.session import MailSession
from mailrouting.storage import Storage

__all__ = ["FIRST_GENERATION", "arrivals", "is_renumbered", "refuse_flood", "was_there"]

FIRST_GENERATION = 1

_PROBED = 20
_OLD = timedelta(days=1)


def was_there(stream: Stream, uid: Uid) -> bool:
    """Tell whether a mail may have been there when this generation began.

    Where the server numbers nothing (POP3) each may have been.
    """
    return stream.first_uidnext is None or int(uid) < stream.first_uidnext


def arrivals(
    session: MailSession,
    uids: Sequence[Uid],
    *,
    by_header: Callable[[bytes], datetime | None] | None,
) -> dict[Uid, datetime | None]:
    """Return when mails arrived: by the server, or, where it does not tell, by their headers.

    Args:
        session: With the folder open.
        uids: The mails.
        by_header: Reads it from a header; None: what the server does not tell is not known.
    """
    told = {info.uid: info.received_at for info in session.stat(uids)}
    silent = [uid for uid, moment in told.items() if moment is None]
    if silent and by_header is not None:
        told.update((uid, by_header(header)) for uid, header in session.read_headers(silent))
    return told


def is_renumbered(
    session: MailSession, storage: Storage[object], stream: Stream, *, inbound: InboundSettings
) -> bool:
    """Tell whether known positions hold other mail than they did: a restored backup, a lost index.

    What is not there is no evidence. Of POP3's unique-ids, where nothing is ever deleted, the
    question is whether all of them are gone although mail is there; else, whether one that was
    deleted names another mail now.
    """
    if stream.mailbox.protocol is MailProtocol.POP3:
        listed = sorted({uid for window in session.list_uids() for uid in window})
        states = storage.positions(stream.mailbox, stream.generation, listed)
        if not keeps_all(inbound):
            return _is_given_out_again(session, storage, states, inbound=inbound)
        return (
            bool(listed)
            and not states
            and bool(storage.latest_positions(stream.mailbox, stream.generation, limit=1))
        )
    latest = storage.latest_positions(stream.mailbox, stream.generation, limit=_PROBED)
    if not latest:
        return False
    known = {uid: identity for uid, identity in latest if identity.version == IDENTITY_VERSION}
    others = [
        uid
        for uid, header in session.read_headers(list(known))
        if delivery_identity(header) != known[uid].delivery
    ]
    return any(_is_other(session, uid, known[uid]) for uid in others)


def _is_given_out_again(
    session: MailSession,
    storage: Storage[object],
    states: Mapping[Uid, PositionState],
    *,
    inbound: InboundSettings,
) -> bool:
    """Tell whether a unique-id of deleted mail names another now, as RFC 1939 §7 allows.

    Deletions that are not known to be done are all looked at: they are about to be repeated.
    """
    deleted = {
        uid: state
        for uid, state in states.items()
        if (state.outcome is not None or state.acknowledged)
        and after_outcome(inbound, state.outcome).action is AfterAction.DELETE
    }
    undone = [uid for uid, state in deleted.items() if not state.acknowledged]
    done = [uid for uid, state in deleted.items() if state.acknowledged][:_PROBED]
    identities = {
        uid: storage.intake_row(intake_id).identity
        for uid in (*undone, *done)
        if (intake_id := deleted[uid].intake_id) is not None
    }
    known = {uid: one for uid, one in identities.items() if one.version == IDENTITY_VERSION}
    headers = dict(session.read_headers(list(known)))
    return any(
        _is_other(session, uid, identity)
        for uid, identity in known.items()
        if not identity.delivery or delivery_identity(headers.get(uid, b"")) != identity.delivery
    )


def _is_other(session: MailSession, uid: Uid, identity: MailIdentity) -> bool:
    """Look at the whole mail: a server may cut headers of broken mail in its own way."""
    for mail in session.read([uid]):
        found = identify(mail.raw, received_at=mail.received_at)
        return identity.fingerprint != found.fingerprint and (
            not identity.delivery or identity.delivery != found.delivery
        )
    return False


def refuse_flood(
    session: MailSession,
    storage: Storage[object],
    stream: Stream,
    *,
    now: datetime,
    most: int,
) -> None:
    """Refuse a rescan that would take in much old mail that was never seen. Writes nothing.

    Raises:
        AccountError: It would take in more than `most` mails older than a day.
    """
    before = now - _OLD
    strange = 0
    for window in session.list_uids():
        known = storage.positions(stream.mailbox, stream.generation, window)
        uids = [uid for uid in window if uid not in known and was_there(stream, uid)]
        if uids:
            strange += _strange(session, storage, stream, uids, before=before)
    if strange > most:
        raise AccountError(
            f"the server numbers the mailbox anew, and {strange} mails in it that are older than "
            "a day were never seen here",
            account_id=stream.mailbox.account_id,
            field="inbound.folder",
            hint="Look at the mailbox; to take them in, run the account once with accept_rescan "
            "(command: fetch --account NAME --accept-rescan).",
        )


def _strange(
    session: MailSession,
    storage: Storage[object],
    stream: Stream,
    uids: Sequence[Uid],
    *,
    before: datetime,
) -> int:
    old = [
        uid
        for uid, moment in arrivals(session, uids, by_header=arrived_at).items()
        if (moment is None or moment < before)
        and not (moment is not None and stream.cutoff is not None and moment < stream.cutoff)
    ]
    deliveries = {uid: delivery_identity(header) for uid, header in session.read_headers(old)}
    known = storage.known_deliveries(
        stream.mailbox.account_id, sorted(filter(None, set(deliveries.values())))
    )
    return sum(deliveries.get(uid, "") not in known for uid in old)
