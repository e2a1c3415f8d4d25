"""Be a mail session over IMAP (RFC 3501, RFC 9051), on imapclient.

What other clients do at the same time is never taken for our own work: what is said to have
changed was looked at afterwards. Every command has a deadline, every answer a limit (`Timeouts`).
"""

import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from mailrouting.accounts import InboundSettings
from mailrouting.auth import Credential
from mailrouting.records import Uid
from mailrouting.session import FolderStatus, MailInfo, RawMail, SessionFeature
from mailrouting.wire._deadline import Timeouts
from mailrouting.wire._imap_change import Changes
from mailrouting.wire._imap_client import Connection
from mailrouting.wire._imap_folder import Opened, create_folder, open_folder
from mailrouting.wire._imap_login import open_connection
from mailrouting.wire._imap_read import (
    LARGEST_NUMBER,
    UIDS_A_COMMAND,
    mail_info,
    parts,
    read_headers,
    read_mails,
)
from mailrouting.wire.guard import imap_uids, one_line

__all__ = ["ImapSession", "Timeouts"]

_WINDOW = 5000
_LISTED_AT_ONCE = 50_000
"""UIDs that surely fit a line of imaplib's limit: eleven octets each."""


class ImapSession:
    """Be a `MailSession` over IMAP; made by `connect`."""

    def __init__(
        self,
        connection: Connection,
        *,
        capabilities: frozenset[str],
        username: str,
        scratch: Path | None = None,
    ) -> None:
        self._connection = connection
        self._capabilities = capabilities
        connection.can_unselect = "UNSELECT" in capabilities
        self._username = username
        self._scratch = scratch
        self._folder: Opened | None = None

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
            scratch: Where mails over 1 MiB are kept while they are read, in files without a name;
                by default the system's folder for such files.

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
        return cls(
            connection,
            capabilities=capabilities,
            username=inbound.login.username,
            scratch=scratch,
        )

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
        self._folder = None
        self._folder = open_folder(self._connection, folder, writable=writable)
        return self._folder.status

    def list_uids(self) -> Iterator[tuple[Uid, ...]]:
        """Yield the UIDs of the open folder in windows, ascending; deleted mail is left out."""
        folder = self._open("SEARCH")
        ahead, folder.listed = folder.listed, None
        if ahead is not None and self._connection.exists is None:
            yield from _windows(ahead)
            return
        self._note_listed(folder)
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
            yield from _windows(self._search(*filter(None, [span]), "UNDELETED", folder=folder))

    def stat(self, uids: Sequence[Uid]) -> tuple[MailInfo, ...]:
        """Return what the server tells about these mails, in the order asked for."""
        folder = self._open("FETCH")
        infos = tuple(self._stat(imap_uids(uids), folder))
        folder.known = {int(info.uid): info for info in infos[-_WINDOW:]}
        return infos

    def read(self, uids: Sequence[Uid]) -> Iterator[RawMail]:
        """Yield the mails' bytes, in the order asked for, without marking them seen.

        Small mails are read many at a time, large ones in parts; their sizes are asked for
        before, unless `stat` told them just now.
        """
        folder = self._open("FETCH")
        for some in parts(imap_uids(uids), UIDS_A_COMMAND):
            known, folder.known = folder.known, {}
            told = {number: known[number] for number in some if number in known}
            unknown = [number for number in some if number not in told]
            told |= {int(info.uid): info for info in self._stat(unknown, folder)}
            folder.known = {number: known[number] for number in known if number not in told}
            infos = [told[number] for number in some if number in told]
            for mail in read_mails(self._connection, infos, scratch=self._scratch):
                yield mail
                self._still(folder, "FETCH")

    def read_headers(self, uids: Sequence[Uid]) -> Iterator[tuple[Uid, bytes]]:
        """Yield the mails' headers, in the order asked for, without marking them seen.

        Who looks at headers first of all wants a listing next: it is asked for along with them.
        """
        folder, numbers = self._open("FETCH"), imap_uids(uids)
        lists = bool(numbers) and not folder.is_listed and folder.messages <= _LISTED_AT_ONCE
        if lists:
            self._note_listed(folder)
        found_ahead = folder.note_listing if lists else None
        for found in read_headers(self._connection, numbers, listed=found_ahead):
            yield found
            self._still(folder, "FETCH")

    def check(self) -> bool:
        """Ask, in one round trip, whether mail may have come that was not listed."""
        self._open("NOOP")
        self._connection.run("NOOP", self._connection.protocol.noop)
        return self._connection.exists is not None

    def mark_seen(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Mark mails seen; return those that carry the flag now."""
        numbers, changes = self._changing("STORE", uids)
        return _names(changes.mark_seen(numbers))

    def move(self, uids: Sequence[Uid], folder: str) -> frozenset[Uid]:
        """Move mails to another folder; return those that are no longer in this one.

        With MOVE (RFC 6851) in one step. Without it by copy and deletion of just these UIDs: they
        are marked `$MrMoving` before, where the server keeps keywords, so that after a lost
        session the other folder is looked at before a mail is copied again.

        Raises:
            FolderNotFoundError: There is no such folder.
            SessionError: The server refused; the mails stay.
        """
        one_line(folder, what="the folder's name")
        numbers, changes = self._changing("MOVE", uids)
        return _names(changes.move(numbers, folder))

    def delete(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Delete mails; return those that are gone.

        Without UIDPLUS (RFC 4315) they stay marked deleted, and count as gone: a plain EXPUNGE
        would also destroy what others marked.
        """
        numbers, changes = self._changing("STORE", uids)
        return _names(changes.delete(numbers))

    def ensure_folder(self, folder: str) -> None:
        """Create a folder unless it exists. Idempotent.

        Raises:
            SessionError: It does not exist, and the server refused to create it.
        """
        create_folder(self._connection, one_line(folder, what="the folder's name"))

    def on_progress(self, heard: Callable[[], None] | None) -> None:
        """Call `heard` whenever octets come; see `TellsProgress`."""
        self._connection.on_progress(heard)

    def close(self) -> None:
        """Log out. Idempotent; never raises. Expunges nothing."""
        self._folder = None
        self._connection.leave()

    def _open(self, verb: str) -> Opened:
        if self._connection.closed:
            raise self._connection.place.lost("it was closed", command=verb)
        if self._folder is None:
            raise self._connection.place.misused("no folder is open", command=verb)
        return self._folder

    def _still(self, folder: Opened, verb: str) -> None:
        """Refuse to go on with a listing or reading in another folder: UIDs would mean others."""
        if self._open(verb) is not folder:
            raise self._connection.place.misused("another folder was opened", command=verb)

    def _changing(self, verb: str, uids: Sequence[Uid]) -> tuple[list[int], Changes]:
        folder = self._open(verb)
        if not folder.status.writable:
            raise self._connection.place.misused(
                "the folder is open for reading only", command=verb
            )
        folder.listed = None
        changes = Changes(
            connection=self._connection, folder=folder, capabilities=self._capabilities
        )
        return imap_uids(uids), changes

    def _note_listed(self, folder: Opened) -> None:
        """Note that the folder is listed now: what comes from here on was not."""
        folder.is_listed = True
        if self._connection.exists is not None:
            folder.messages, self._connection.exists = self._connection.exists, None

    def _search(self, *criteria: str, folder: Opened) -> frozenset[int]:
        self._still(folder, "SEARCH")
        return self._connection.run(
            "SEARCH", lambda: frozenset(self._connection.client.search(list(criteria)))
        )

    def _stat(self, numbers: Sequence[int], folder: Opened) -> Iterator[MailInfo]:
        client = self._connection.client
        items = ["RFC822.SIZE", "FLAGS", "INTERNALDATE"]
        for some in parts(numbers, UIDS_A_COMMAND):
            self._still(folder, "FETCH")
            told = self._connection.run("FETCH", partial(client.fetch, some, items))
            for number in some:
                if number in told:
                    yield mail_info(number, told[number])


def _windows(numbers: Iterable[int]) -> Iterator[tuple[Uid, ...]]:
    valid = sorted(number for number in numbers if 0 < number <= LARGEST_NUMBER)
    for part in parts(valid, _WINDOW):
        yield tuple(str(number) for number in part)


def _names(numbers: Iterable[int]) -> frozenset[Uid]:
    return frozenset(str(number) for number in numbers)
