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
    question is whether all of them are gone although mail is there; else, whether one that we or
    another client deleted names another mail now, as RFC 1939 §7 allows.
    """
    if stream.mailbox.protocol is MailProtocol.POP3:
        listed = sorted({uid for window in session.list_uids() for uid in window})
        states = storage.positions(stream.mailbox, stream.generation, listed)
        if keeps_all(inbound) and listed and not states:
            return bool(storage.latest_positions(stream.mailbox, stream.generation, limit=1))
        deleted = {uid: one for uid, one in states.items() if _is_deleted(one, inbound=inbound)}
        kept = {uid: one for uid, one in states.items() if uid not in deleted}
        return _is_deleted_name_reused(session, storage, deleted) or _is_kept_name_reused(
            session, storage, kept
        )
    latest = dict(storage.latest_positions(stream.mailbox, stream.generation, limit=_PROBED))
    known = _comparable(latest)
    return any(
        _is_other(_present(session, uid), known[uid]) for uid in _other_headers(session, known)
    )


def _is_deleted(state: PositionState, *, inbound: InboundSettings) -> bool:
    """Tell whether we deleted a mail, or are about to."""
    is_settled = state.outcome is not None or state.acknowledged
    return is_settled and after_outcome(inbound, state.outcome).action is AfterAction.DELETE


def _is_deleted_name_reused(
    session: MailSession, storage: Storage[object], deleted: Mapping[Uid, PositionState]
) -> bool:
    """Look at the headers of what was deleted and is listed.

    Deletions that are not known to be done are all looked at: they are about to be repeated.
    """
    undone = [uid for uid, state in deleted.items() if not state.acknowledged]
    done = [uid for uid, state in deleted.items() if state.acknowledged][:_PROBED]
    known = _comparable(_identities(storage, {uid: deleted[uid] for uid in (*undone, *done)}))
    headers = dict(session.read_headers(list(known)))
    return any(
        _is_other(_present(session, uid), identity)
        for uid, identity in known.items()
        if not identity.delivery or delivery_identity(headers.get(uid, b"")) != identity.delivery
    )


def _is_kept_name_reused(
    session: MailSession, storage: Storage[object], kept: Mapping[Uid, PositionState]
) -> bool:
    """Look at the headers of mail that is listed with another size than it was stored with.

    A size alone proves nothing, because servers count in their own ways; of many that differ the
    latest are looked at. A yes reads the whole mailbox again, so it needs every sign: a gateway may
    show a mail with another header each time, and mail without a delivery identity is passed over.
    """
    stored = {uid: state for uid, state in kept.items() if state.size is not None}
    resized = [
        info.uid
        for info in session.stat(list(stored))
        if info.size is not None and info.size != stored[info.uid].size
    ]
    latest = sorted(resized, key=lambda uid: stored[uid].intake_id or 0, reverse=True)[:_PROBED]
    identities = _comparable(_identities(storage, {uid: stored[uid] for uid in latest}))
    known = {uid: identity for uid, identity in identities.items() if identity.delivery}
    for uid in _other_headers(session, known):
        found = _present(session, uid)
        if found and _is_other(found, known[uid]) and found.content != known[uid].content:
            return True
    return False


def _identities(
    storage: Storage[object], states: Mapping[Uid, PositionState]
) -> dict[Uid, MailIdentity]:
    return {
        uid: storage.intake_row(state.intake_id).identity
        for uid, state in states.items()
        if state.intake_id is not None
    }


def _comparable(identities: Mapping[Uid, MailIdentity]) -> dict[Uid, MailIdentity]:
    return {uid: one for uid, one in identities.items() if one.version == IDENTITY_VERSION}


def _other_headers(session: MailSession, known: Mapping[Uid, MailIdentity]) -> list[Uid]:
    """Return the mails that are there with another header."""
    return [
        uid
        for uid, header in session.read_headers(list(known))
        if delivery_identity(header) != known[uid].delivery
    ]


def _present(session: MailSession, uid: Uid) -> MailIdentity | None:
    """Read the whole mail: a server may cut headers of broken mail in its own way."""
    for mail in session.read([uid]):
        return identify(mail.raw, received_at=mail.received_at)
    return None


def _is_other(found: MailIdentity | None, known: MailIdentity) -> bool:
    """Tell whether a mail that is there is not the known one."""
    if found is None or found.fingerprint == known.fingerprint:
        return False
    return not known.delivery or found.delivery != known.delivery


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
