"""Be a mail session over IMAP (RFC 3501, RFC 9051), on imapclient.

What other clients do at the same time is never taken for our own work: what is said to have
changed was looked at afterwards. Every command has a deadline, every answer a limit (`Timeouts`).
"""

import ssl
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Self

import attrs

from mailrouting.accounts import InboundSettings, canonical_folder
from mailrouting.auth import Credential
from mailrouting.errors import SessionError
from mailrouting.records import Uid
from mailrouting.session import FolderStatus, MailInfo, RawMail, SessionFeature
from mailrouting.wire._deadline import Timeouts
from mailrouting.wire._imap_client import Connection, TaggedNo
from mailrouting.wire._imap_login import open_connection
from mailrouting.wire._imap_read import (
    LARGEST_NUMBER,
    mail_info,
    number_told,
    read_headers,
    read_mails,
)
from mailrouting.wire.guard import imap_uids, one_line, uid_set

__all__ = ["ImapSession", "Timeouts"]

_WINDOW = 5000
_LISTED_AT_ONCE = 50_000
"""UIDs that surely fit a line of imaplib's limit: eleven octets each."""

_UIDS_A_COMMAND = 500
"""Ten digits and a comma each stay below the 8192 octets that servers must accept (RFC 7162 §4)."""

_MOVE_TRIES = 2
_NO_SUCH_FOLDER = frozenset({"NONEXISTENT", "TRYCREATE"})


@attrs.define(kw_only=True, eq=False)
class _Opened:
    """Be the folder that is open: another object each time one is opened."""

    name: str
    messages: int
    writable: bool


class ImapSession:
    """Be a `MailSession` over IMAP; made by `connect`."""

    def __init__(
        self, connection: Connection, *, capabilities: frozenset[str], username: str
    ) -> None:
        self._connection = connection
        self._capabilities = capabilities
        self._username = username
        self._folder: _Opened | None = None

    @classmethod
    def connect(
        cls,
        inbound: InboundSettings,
        credential: Credential,
        *,
        tls: ssl.SSLContext,
        timeouts: Timeouts | None = None,
        account_id: str | None = None,
    ) -> Self:
        """Connect and log in, by what the account says.

        Args:
            inbound: Followed to the letter: there is no weaker second try.
            credential: The secret of its login.
            tls: From `mailrouting.wire.tls`; shared by all sessions.
            timeouts: How long to wait.
            account_id: Whose mailbox it is, for errors.

        Raises:
            ConfigurationError: The settings contradict themselves, or the server offers nothing
                that can say what the login says.
            ConnectError: The server cannot be reached, or puts the login off.
            TlsError: TLS cannot be established or trusted, or STARTTLS is not offered.
            AuthenticationError: The server refused the login.
            PeerProtocolError: It speaks no IMAP.
        """
        connection, capabilities = open_connection(
            inbound, credential, tls=tls, timeouts=timeouts or Timeouts(), account_id=account_id
        )
        return cls(connection, capabilities=capabilities, username=inbound.login.username)

    def __repr__(self) -> str:
        folder = "no folder open" if self._folder is None else self._folder.name
        state = "closed" if self._connection.closed else folder
        return f"<ImapSession of {self._username} at {self._connection.endpoint}: {state}>"

    @property
    def features(self) -> frozenset[SessionFeature]:
        """Say what can be done here: all of it, always."""
        return frozenset(SessionFeature)

    def open_folder(self, folder: str, *, writable: bool) -> FolderStatus:
        """Open a folder.

        Raises:
            FolderNotFoundError: There is none of that name.
            SessionError: The server refused, gives the folder read-only though `writable`, or
                its UIDs do not last (RFC 4315, UIDNOTSTICKY).
        """
        one_line(folder, what="the folder's name")
        client, verb = self._connection.client, "SELECT" if writable else "EXAMINE"
        self._folder = None
        error: SessionError
        try:
            told = self._connection.attempt(
                verb, lambda: client.open_folder(folder, writable=writable)
            )
        except TaggedNo as no:
            error = self._folder_refusal(folder, verb, no)
        else:
            return self._opened_as(folder, told, writable=writable)
        raise error

    def list_uids(self) -> Iterator[tuple[Uid, ...]]:
        """Yield the UIDs of the open folder in windows, ascending; deleted mail is left out."""
        folder = self._open("SEARCH")
        if self._connection.exists is not None:
            folder.messages, self._connection.exists = self._connection.exists, None
        if folder.messages <= _LISTED_AT_ONCE:
            spans = [""] if folder.messages else []
        else:
            # By sequence number, not UID: as many round trips as there are mails, however sparse
            # the UIDs are. What moves across a border because another client expunges is seen by
            # the next poll. The last span ends with "*", for the folder may have shrunk.
            starts = range(1, folder.messages + 1, _WINDOW)
            spans = [f"{start}:{start + _WINDOW - 1}" for start in starts[:-1]]
            spans.append(f"{starts[-1]}:*")
        for span in spans:
            found = self._search(*filter(None, [span]), "UNDELETED", folder=folder)
            for part in _parts(sorted(found), _WINDOW):
                yield tuple(str(number) for number in part)

    def stat(self, uids: Sequence[Uid]) -> tuple[MailInfo, ...]:
        """Return what the server tells about these mails, in the order asked for."""
        folder = self._open("FETCH")
        return tuple(self._stat(imap_uids(uids), folder))

    def read(self, uids: Sequence[Uid]) -> Iterator[RawMail]:
        """Yield the mails' bytes, in the order asked for, without marking them seen.

        Small mails are read many at a time, large ones in parts; before each batch their sizes
        are asked for.
        """
        folder = self._open("FETCH")
        for part in _parts(imap_uids(uids), _UIDS_A_COMMAND):
            infos = tuple(self._stat(part, folder))
            mails = read_mails(self._connection, infos)
            for mail in mails:
                yield mail
                self._still(folder, "FETCH")

    def read_headers(self, uids: Sequence[Uid]) -> Iterator[tuple[Uid, bytes]]:
        """Yield the mails' headers, in the order asked for, without marking them seen."""
        folder = self._open("FETCH")
        for found in read_headers(self._connection, imap_uids(uids)):
            yield found
            self._still(folder, "FETCH")

    def check(self) -> bool:
        """Ask, in one round trip, whether mail may have come that was not listed."""
        self._open("NOOP")
        self._connection.run("NOOP", self._connection.protocol.noop)
        return self._connection.exists is not None

    def mark_seen(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Mark mails seen; return those that carry the flag now."""
        numbers, folder = self._changing("STORE", uids)
        seen: set[Uid] = set()
        for part in _parts(numbers, _UIDS_A_COMMAND):
            self._add_flag(part, "\\Seen")
            seen.update(info.uid for info in self._stat(part, folder) if "\\Seen" in info.flags)
        return frozenset(seen)

    def move(self, uids: Sequence[Uid], folder: str) -> frozenset[Uid]:
        """Move mails to another folder; return those that are no longer in this one.

        With MOVE (RFC 6851) in one step. Without it by copy and deletion of just these UIDs; a
        session lost in between leaves both the mail and its copy.

        Raises:
            FolderNotFoundError: There is no such folder.
            SessionError: The server refused; the mails stay.
        """
        one_line(folder, what="the folder's name")
        numbers, opened = self._changing("MOVE", uids)
        gone: set[Uid] = set()
        for part in _parts(numbers, _UIDS_A_COMMAND):
            left = part
            for _ in range(_MOVE_TRIES):
                done = self._transfer(left, folder, opened)
                gone |= self._absent(left, opened)
                left = [number for number in left if str(number) not in gone]
                if done or not left:
                    break
        return frozenset(gone)

    def delete(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Delete mails; return those that are gone.

        Without UIDPLUS (RFC 4315) they stay marked deleted, and count as gone: a plain EXPUNGE
        would also destroy what others marked.
        """
        numbers, opened = self._changing("STORE", uids)
        gone: set[Uid] = set()
        for part in _parts(numbers, _UIDS_A_COMMAND):
            self._expunge(part)
            gone |= self._absent(part, opened)
        return frozenset(gone)

    def ensure_folder(self, folder: str) -> None:
        """Create a folder unless it exists. Idempotent.

        Raises:
            SessionError: It does not exist, and the server refused to create it.
        """
        one_line(folder, what="the folder's name")
        if self._exists(folder):
            return
        error: SessionError
        try:
            self._connection.attempt(
                "CREATE", lambda: self._connection.client.create_folder(folder)
            )
        except TaggedNo as no:
            if no.code == "ALREADYEXISTS":
                return
            error = self._connection.refusal("CREATE", no)
        else:
            return
        raise error

    def close(self) -> None:
        """Log out. Idempotent; never raises. Expunges nothing."""
        self._folder = None
        self._connection.leave()

    def _open(self, verb: str) -> _Opened:
        if self._connection.closed:
            raise self._connection.place.lost("it was closed", command=verb)
        if self._folder is None:
            raise self._connection.place.misused("no folder is open", command=verb)
        return self._folder

    def _still(self, folder: _Opened, verb: str) -> None:
        """Refuse to go on with a listing or reading in another folder: UIDs would mean others."""
        if self._open(verb) is not folder:
            raise self._connection.place.misused("another folder was opened", command=verb)

    def _changing(self, verb: str, uids: Sequence[Uid]) -> tuple[list[int], _Opened]:
        folder = self._open(verb)
        if not folder.writable:
            raise self._connection.place.misused(
                "the folder is open for reading only", command=verb
            )
        return imap_uids(uids), folder

    def _opened_as(self, folder: str, told: dict[bytes, object], *, writable: bool) -> FolderStatus:
        place = self._connection.place
        if b"UIDNOTSTICKY" in told:
            raise place.refused(
                f"the UIDs in {folder!r} do not last", command="SELECT", code="UIDNOTSTICKY"
            )
        if writable and b"READ-ONLY" in told:
            raise place.read_only(folder)
        uidvalidity, uidnext = (
            number_told(told.get(b"UIDVALIDITY")),
            number_told(told.get(b"UIDNEXT")),
        )
        messages = told.get(b"EXISTS")
        if not uidvalidity or not isinstance(messages, int) or messages < 0:
            self._connection.close()
            raise place.broken(
                f"it opened {folder!r} without a valid UIDVALIDITY and EXISTS", command="SELECT"
            )
        self._connection.exists = None
        self._folder = _Opened(name=folder, messages=messages, writable=writable)
        return FolderStatus(
            uidvalidity=uidvalidity, uidnext=uidnext, messages=messages, writable=writable
        )

    def _folder_refusal(self, folder: str, verb: str, no: TaggedNo) -> SessionError:
        """Tell a folder that is missing from one that is refused."""
        names = self._folder_names()
        known = folder in names or canonical_folder(folder) == "INBOX"
        if no.code in _NO_SUCH_FOLDER or not known:
            return self._connection.place.no_folder(
                folder, available=names, command=verb, code=no.code
            )
        return self._connection.refusal(verb, no)

    def _folder_names(self) -> tuple[str, ...]:
        try:
            listed = self._connection.attempt("LIST", self._connection.client.list_folders)
        except TaggedNo:
            return ()
        return tuple(sorted(name for _, _, name in listed if isinstance(name, str)))

    def _exists(self, folder: str) -> bool:
        if canonical_folder(folder) == "INBOX":
            return True
        try:
            # Not LIST: there "*" and "%" in a name are wildcards.
            self._connection.attempt(
                "STATUS", lambda: self._connection.client.folder_status(folder, ["UIDVALIDITY"])
            )
        except TaggedNo:
            return False
        return True

    def _search(self, *criteria: str, folder: _Opened) -> list[int]:
        self._still(folder, "SEARCH")
        found = self._connection.run(
            "SEARCH", lambda: self._connection.client.search(list(criteria))
        )
        return [number for number in dict.fromkeys(found) if 0 < number <= LARGEST_NUMBER]

    def _stat(self, numbers: Sequence[int], folder: _Opened) -> Iterator[MailInfo]:
        client = self._connection.client
        items = ["RFC822.SIZE", "FLAGS", "INTERNALDATE"]
        for part in _parts(numbers, _UIDS_A_COMMAND):
            self._still(folder, "FETCH")
            told = self._connection.run("FETCH", partial(client.fetch, part, items))
            for number in part:
                if number in told:
                    yield mail_info(number, told[number])

    def _add_flag(self, numbers: Sequence[int], flag: str) -> None:
        client = self._connection.client
        self._connection.run(
            "STORE", lambda: client.add_flags(uid_set(numbers), [flag], silent=True)
        )

    def _expunge(self, numbers: Sequence[int]) -> None:
        """Mark mails deleted, and remove just these where the server can."""
        self._add_flag(numbers, "\\Deleted")
        if "UIDPLUS" in self._capabilities:
            client = self._connection.client
            self._connection.run("EXPUNGE", lambda: client.uid_expunge(uid_set(numbers)))

    def _absent(self, numbers: Sequence[int], folder: _Opened) -> set[Uid]:
        """Return those that the server no longer lists as undeleted."""
        present = frozenset(self._search("UNDELETED", "UID", uid_set(numbers), folder=folder))
        return {str(number) for number in numbers if number not in present}

    def _transfer(self, numbers: Sequence[int], folder: str, opened: _Opened) -> bool:
        """Move mails; False when the server did nothing because another client took some."""
        can_move = "MOVE" in self._capabilities
        if not can_move:
            # What is marked deleted was copied before, and stays where nothing is expunged.
            gone = self._absent(numbers, opened)
            numbers = [number for number in numbers if str(number) not in gone]
            if not numbers:
                return True
        client, which = self._connection.client, uid_set(numbers)
        verb, call = ("MOVE", client.move) if can_move else ("COPY", client.copy)
        error: SessionError
        try:
            self._connection.attempt(verb, partial(call, which, folder))
        except TaggedNo as no:
            if no.code == "EXPUNGEISSUED":
                return False
            error = self._folder_refusal(folder, verb, no)
        else:
            if not can_move:
                self._expunge(numbers)
            return True
        raise error


def _parts(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
