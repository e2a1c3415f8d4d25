"""Be a mail session over POP3 (RFC 1939, RFC 2449).

POP3 has one folder and no flags. A mail's number holds for a session, its unique-id (UIDL) for
ever; deletions are done when the session ends with QUIT, and not at all when it ends otherwise.
Every command has a deadline, every answer a limit (`Timeouts`).
"""

import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn, Self, TypeVar

from mailrouting.accounts import InboundSettings, canonical_folder
from mailrouting.auth import Credential
from mailrouting.errors import ConfigurationError, SessionError
from mailrouting.reading import MailSource
from mailrouting.records import Uid
from mailrouting.session import FolderStatus, MailInfo, RawMail, SessionFeature
from mailrouting.wire._deadline import Timeouts
from mailrouting.wire._pop3_client import ErrReply, Pop3Connection
from mailrouting.wire._pop3_login import open_pop3
from mailrouting.wire._pop3_maildrop import (
    Maildrop,
    forget_vanished,
    list_maildrop,
    name_by_content,
    retrieve,
)
from mailrouting.wire._scratch import Scratch
from mailrouting.wire.guard import one_line
from mailrouting.wire.trouble import Place

__all__ = ["Pop3Session"]

_T = TypeVar("_T")

_WINDOW = 5000
_WINDOW_TO_READ = 200
"""A window where mails must be read to be named: each is taken in before the next is read."""

_SUB_SESSION = 100
_LONGEST_HEADER = 256 * 1024
_END_OF_HEADER = re.compile(rb"^\r?\n", re.MULTILINE)


class Pop3Session:
    """Be a `MailSession` over POP3; made by `connect`.

    It may log in more than once. Deletions that wait are committed by QUIT, and the maildrop is
    opened again, before a mail is read when they are from an earlier session (so a mail that
    breaks every session does not keep those before it on the server for ever) or a hundred and
    more (so a dropped line undoes few). A server that announces LOGIN-DELAY is spared that.
    """

    def __init__(
        self,
        log_in: Callable[[], Pop3Connection],
        *,
        username: str,
        scratch: Path | None = None,
    ) -> None:
        self._log_in = log_in
        self._username = username
        self._scratch = scratch
        self._connection: Pop3Connection = log_in()
        self._maildrop: Maildrop | None = None
        self._opening = 0
        self._writable = False
        self._has_read = False
        self._heard: Callable[[], None] | None = None

    @classmethod
    def connect(
        cls,
        inbound: InboundSettings,
        credential: Credential,
        *,
        tls: ssl.SSLContext,
        timeouts: Timeouts | None = None,
        account_id: str | None = None,
        scratch: Path | None = None,
    ) -> Self:
        """Connect and log in, by what the account says.

        Args:
            inbound: Followed to the letter: there is no weaker second try.
            credential: The secret of its login.
            tls: From `mailrouting.wire.tls`; shared by all sessions.
            timeouts: How long to wait.
            account_id: Whose mailbox it is, for errors.
            scratch: Where mails over 1 MiB are kept while they are read; None: the system's folder.

        Raises:
            ConfigurationError: The settings contradict themselves, or the server offers nothing
                that can say what the login says.
            ConnectError: The server cannot be reached, or puts the login off (RFC 2449, RFC 3206:
                IN-USE, LOGIN-DELAY, SYS/TEMP).
            TlsError: TLS cannot be established or trusted, or STLS is refused.
            AuthenticationError: The server refused the login.
            PeerProtocolError: It speaks no POP3.
            SessionError: It says that it is broken (RFC 3206, SYS/PERM).
        """
        log_in = partial(
            open_pop3,
            inbound,
            credential,
            tls=tls,
            timeouts=timeouts or Timeouts(),
            account_id=account_id,
        )
        return cls(log_in, username=inbound.login.username, scratch=scratch)

    def __repr__(self) -> str:
        folder = "no folder open" if self._maildrop is None else "INBOX"
        state = "closed" if self._connection.closed else folder
        return f"<Pop3Session of {self._username} at {self._connection.endpoint}: {state}>"

    @property
    def features(self) -> frozenset[SessionFeature]:
        """Say what can be done here: POP3 has no flags and no folders."""
        return frozenset()

    def open_folder(self, folder: str, *, writable: bool) -> FolderStatus:
        """Open `INBOX`, the only folder. What it holds is asked once a login.

        Raises:
            FolderNotFoundError: It is another.
            ConfigurationError: The server has no UIDL, and mail is to stay there: it could not be
                known again without reading all of it each time.
            SessionError: The server refused.
        """
        one_line(folder, what="the folder's name")
        connection = self._alive("LIST")
        if canonical_folder(folder) != "INBOX":
            raise self._place.no_folder(folder, available=("INBOX",), command="LIST")
        if self._maildrop is None:
            self._maildrop = self._list(connection, writable=writable)
        self._opening += 1
        self._writable = writable
        return FolderStatus(
            uidvalidity=None,
            uidnext=None,
            messages=len(self._maildrop.sizes) - len(self._maildrop.marked),
            writable=writable,
        )

    def list_uids(self) -> Iterator[tuple[Uid, ...]]:
        """Yield the UIDs in windows, in the server's order; deleted mail is left out.

        A UID is the unique-id. Mails that share one, or have none, are read to be named by their
        content; those that are equal are one mail then, and deleted together.
        """
        self._opened("UIDL")
        seen: set[Uid] = set()
        maildrop: Maildrop | None = None
        while maildrop is not self._maildrop:  # numbers are new after another login
            maildrop = self._opened("UIDL")
            numbers = list(maildrop.sizes)
            size = _WINDOW_TO_READ if maildrop.unnamed else _WINDOW
            for start in range(0, len(numbers), size):
                window = numbers[start : start + size]
                self._begin_reading(needed=any(one in maildrop.unnamed for one in window))
                if self._opened("UIDL") is not maildrop:
                    break
                name_by_content(self._connection, maildrop, window)
                new = [
                    maildrop.names[number]
                    for number in window
                    if number in maildrop.names and number not in maildrop.marked
                ]
                fresh = tuple(uid for uid in dict.fromkeys(new) if uid not in seen)
                seen.update(fresh)
                if fresh:
                    yield fresh

    def stat(self, uids: Sequence[Uid]) -> tuple[MailInfo, ...]:
        """Return what the server tells about these mails, in the order asked for."""
        maildrop = self._find(uids, "LIST")
        return tuple(
            MailInfo(uid=uid, size=maildrop.size(uid), received_at=None)
            for uid in dict.fromkeys(uids)
            if maildrop.has(uid)
        )

    def read(self, uids: Sequence[Uid]) -> Iterator[RawMail]:
        """Yield the mails' bytes, in the order asked for; they stay as they are.

        Small mails are read many at a time where the server pipelines.
        """
        self._opened("RETR")
        self._begin_reading(needed=bool(uids))
        self._has_read = self._has_read or bool(uids)
        for uid, raw in self._retrieve(uids, self._whole):
            yield RawMail(uid=uid, raw=raw)

    def read_headers(self, uids: Sequence[Uid]) -> Iterator[tuple[Uid, bytes]]:
        """Yield the mails' headers, in the order asked for.

        By `TOP n 0`; where the server has no TOP the mails are read. A header of more than 256 KiB
        is left out.
        """
        self._opened("TOP")
        has_top = "TOP" in self._connection.capabilities
        headers = self._retrieve(
            uids,
            self._header,
            command="TOP {} 0" if has_top else "RETR {}",
            most=_LONGEST_HEADER if has_top else None,
        )
        for uid, header in headers:
            if header is not None:
                yield uid, header

    def check(self) -> bool:
        """Return True: only a new session sees what came."""
        self._opened("NOOP")
        return True

    def mark_seen(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Refuse: POP3 has no flags."""
        del uids
        self._refuse(SessionFeature.FLAGS, "STORE")

    def move(self, uids: Sequence[Uid], folder: str) -> frozenset[Uid]:
        """Refuse: POP3 has no folders."""
        del uids, folder
        self._refuse(SessionFeature.FOLDERS, "MOVE")

    def delete(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Mark mails deleted; return those that are gone, or will be when the session is closed.

        Of mails with equal octets under one name all go.

        Raises:
            SessionError: The server refused all that was to be marked.
        """
        self._opened("DELE")
        if not self._writable:
            raise self._place.misused("the folder is open for reading only", command="DELE")
        maildrop = self._find(uids, "DELE")
        wanted = [
            number
            for uid in dict.fromkeys(uids)
            for number in maildrop.numbers(uid)
            if number not in maildrop.marked
        ]
        told: list[str | ErrReply] = []
        try:
            self._connection.ask_all(
                "DELE",
                [f"DELE {number}" for number in wanted],
                self._connection.status,
                into=told,
            )
        finally:
            done = [
                number for number, one in zip(wanted, told, strict=False) if isinstance(one, str)
            ]
            maildrop.marked.update(done)
        refused = {
            number: one
            for number, one in zip(wanted, told, strict=True)
            if isinstance(one, ErrReply)
        }
        forget_vanished(self._connection, maildrop, tuple(refused))
        still = [err for number, err in refused.items() if number in maildrop.sizes]
        if still and not done:
            raise self._connection.refusal("DELE", still[0])
        return frozenset(uid for uid in uids if maildrop.marked.issuperset(maildrop.numbers(uid)))

    def ensure_folder(self, folder: str) -> None:
        """Refuse: POP3 has no folders."""
        del folder
        self._refuse(SessionFeature.FOLDERS, "CREATE")

    def on_progress(self, heard: Callable[[], None] | None) -> None:
        """Call `heard` whenever octets come; see `TellsProgress`."""
        self._heard = heard
        self._connection.on_progress(heard)

    def close(self) -> None:
        """Commit the deletions and leave. Idempotent; never raises.

        Whether they were committed is seen at the next login: the answer to QUIT may be lost.
        """
        marked = self._maildrop is not None and bool(self._maildrop.marked)
        self._connection.leave(commits=marked)

    @property
    def _place(self) -> Place:
        return self._connection.place

    def _refuse(self, feature: SessionFeature, verb: str) -> NoReturn:
        self._alive(verb)
        raise self._place.misused(f"POP3 knows nothing of it: {feature.value}", command=verb)

    def _alive(self, verb: str) -> Pop3Connection:
        if self._connection.closed:
            raise self._place.lost("it was closed", command=verb)
        return self._connection

    def _opened(self, verb: str) -> Maildrop:
        self._alive(verb)
        if self._maildrop is None:
            raise self._place.misused("no folder is open", command=verb)
        return self._maildrop

    def _retrieve(
        self,
        uids: Sequence[Uid],
        take: Callable[[int], _T],
        *,
        command: str = "RETR {}",
        most: int | None = None,
    ) -> Iterator[tuple[Uid, _T]]:
        """Yield mails; when the maildrop was opened anew meanwhile, go on by its new numbers."""
        left = dict.fromkeys(uids)
        verb, opening = command.split(" ", maxsplit=1)[0], self._opening
        maildrop: Maildrop | None = None
        while maildrop is not self._maildrop:
            maildrop = self._find(tuple(left), verb)
            # Equal mails are read once.
            numbers = [maildrop.numbers(uid)[0] for uid in left if maildrop.has(uid)]
            mails = retrieve(self._connection, maildrop, numbers, take, command=command, most=most)
            for number, mail in mails:
                uid = maildrop.names[number]
                del left[uid]
                yield uid, mail
                if self._opening != opening:
                    raise self._place.misused("a folder was opened meanwhile", command=verb)
                if self._maildrop is not maildrop:
                    break

    def _list(self, connection: Pop3Connection, *, writable: bool) -> Maildrop:
        maildrop = list_maildrop(connection)
        if not maildrop.has_unique_ids and not writable:
            raise ConfigurationError(
                f"{connection.endpoint} names no mail by a unique-id (POP3 UIDL), so mail that "
                "stays there could not be known again",
                hint="Set the account to delete mail that was taken in, or fetch it by IMAP.",
            )
        return maildrop

    def _begin_reading(self, *, needed: bool) -> None:
        """Commit what waits before more is read, where a broken session would cost too much."""
        if not needed:
            return
        maildrop = self._maildrop
        due = 1 if not self._has_read else _SUB_SESSION
        if maildrop is None or len(maildrop.marked) < due:
            return
        if "LOGIN-DELAY" in self._connection.capabilities:
            return
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._connection.leave(commits=True)
        place = self._place
        because = ""
        try:
            self._connection = self._log_in()
            self._connection.on_progress(self._heard)
            self._maildrop = self._list(self._connection, writable=self._writable)
        except SessionError as error:
            because = str(error)
        if because:
            self._connection.close()
            raise place.lost(f"it could not be opened again: {because}", command="QUIT")

    def _find(self, uids: Sequence[Uid], verb: str) -> Maildrop:
        """Return the maildrop with these mails named, if they are there."""
        maildrop = self._opened(verb)
        for uid in uids:
            # None is ever sent; but what is no name is a caller's mistake.
            one_line(uid, what="a UID")
        if any(maildrop.may_hide(uid) and not maildrop.numbers(uid) for uid in uids):
            name_by_content(self._connection, maildrop, sorted(maildrop.unnamed))
        return maildrop

    def _whole(self, limit: int) -> MailSource:
        scratch = Scratch(self._scratch)
        try:
            self._connection.body(scratch.write, limit=limit)
            return scratch.finish()
        finally:
            scratch.close()

    def _header(self, limit: int) -> bytes | None:
        """Read a header; None when it is too long to be looked at."""
        kept = bytearray()

        def keep(octets: bytes) -> None:
            kept.extend(octets[: _LONGEST_HEADER + 1 - len(kept)])

        self._connection.body(keep, limit=limit)
        end = _END_OF_HEADER.search(kept)
        header = bytes(kept if end is None else kept[: end.end()])
        return header if len(header) <= _LONGEST_HEADER else None
