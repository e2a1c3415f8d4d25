"""Name what an open connection to a mailbox can do (floor 3b).

IMAP, POP3 and the fakes are `MailSession`s. A session belongs to one thread. Every method may
raise `SessionLostError` (what the server was told before may or may not have happened) and
`PeerProtocolError`; after either the session is closed. No method says that a mail is done because
it is absent: absence is "unknown", and the next poll looks again.
"""

import enum
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs

from mailrouting.accounts import EmailAccount
from mailrouting.auth import Credential
from mailrouting.reading import MailSource
from mailrouting.records import Uid

__all__ = [
    "Credentials",
    "Direction",
    "FolderStatus",
    "MailInfo",
    "MailSession",
    "RawMail",
    "SessionFeature",
    "SessionOpener",
    "TellsProgress",
]


class SessionFeature(enum.Enum):
    """Say what a session's protocol and server can do."""

    FLAGS = "mail can be marked seen"
    FOLDERS = "mail can be moved to another folder"
    KEEPS = "an open folder can be kept, and asked again whether mail came"


class Direction(enum.Enum):
    """Say which way mail goes with a login."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


@attrs.frozen(kw_only=True)
class FolderStatus:
    """Say how an opened folder stands.

    Attributes:
        uidvalidity: RFC 9051 §2.3.1.1; None where the protocol has none (POP3).
        uidnext: The UID that the next mail will have at least; None when not told.
        messages: How many mails are in it.
        writable: Whether flags, moves and deletes are possible.
    """

    uidvalidity: int | None
    uidnext: int | None
    messages: int
    writable: bool


@attrs.frozen(kw_only=True)
class MailInfo:
    r"""Say what a server tells of a mail without its bytes: hints, not truth.

    Attributes:
        uid: Which mail.
        size: Octets as the server counts them; None when not told.
        received_at: INTERNALDATE; None when not told or senseless.
        flags: IMAP flags as sent, for instance `\Seen`; empty on POP3.
    """

    uid: Uid
    size: int | None
    received_at: datetime | None
    flags: frozenset[str] = frozenset()


@attrs.frozen(kw_only=True)
class RawMail:
    """Be a mail as read from the server.

    Attributes:
        uid: Which mail.
        raw: Its bytes, whole; a large one is a memory map.
        received_at: INTERNALDATE; None when not told or senseless.
    """

    uid: Uid
    raw: MailSource = attrs.field(repr=False)
    received_at: datetime | None = None


class MailSession(Protocol):
    r"""Be an authenticated connection to one mailbox.

    Obligations:
        M1. Nothing changes on the server but by `mark_seen`, `move`, `delete` and
            `ensure_folder`: `read` and `read_headers` leave `\Seen` alone. (What POP3 reads, a
            server may mark seen for its other clients: POP3 has no word against it.)
        M2. Only mails named by UID are ever changed: no plain EXPUNGE, no CLOSE (RFC 4315).
        M3. A returned UID set holds only what the server was seen to have done.
        M4. A vanished UID is left out of an answer and is no error.
        M5. `list_uids`, `read` and `read_headers` may be left in the middle while other methods
            are called; none goes on in another folder.
        M6. No exception but those of `mailrouting.errors` leaves a method, and none shows a
            secret.
        M7. `list_uids` names every mail of the open folder once, in order of arrival, but none
            that is marked deleted; no window is empty.
        M8. `stat`, `read` and `read_headers` keep the order asked for, each UID once.
        M9. `read` gives every octet as the server has it, whatever the size; `read_headers` gives
            its beginning, to the empty line that ends the header.
        M10. A UID means the same mail in every session until `uidvalidity` changes (POP3: for
            ever); a renumbered folder is never read or changed under its old numbers.
        M11. What was done may be asked for again: nothing else changes, and it is no error.
        M12. What `features` do not name, what needs an open folder or a writable one where there
            is none, and a UID or folder that could end a command, is refused before anything is
            sent.
        M13. `check` is True whenever mail may have come that no listing since named.
        M14. A clean refusal leaves the session usable and the mails as they were; after a lost
            connection every method but `close` raises `SessionLostError`.
    """

    @property
    def features(self) -> frozenset[SessionFeature]:
        """Say what can be done here."""
        ...

    def open_folder(self, folder: str, *, writable: bool) -> FolderStatus:
        """Open a folder; POP3 has only `INBOX`.

        Raises:
            FolderNotFoundError: There is none of that name.
            SessionError: The server refused, or gives the folder read-only though `writable`.
        """
        ...

    def list_uids(self) -> Iterator[tuple[Uid, ...]]:
        """Yield the UIDs of the open folder in windows, in the server's order of arrival.

        Mail that is marked deleted is left out.
        """
        ...

    def stat(self, uids: Sequence[Uid]) -> tuple[MailInfo, ...]:
        """Return what the server tells about these mails, in the order asked for."""
        ...

    def read(self, uids: Sequence[Uid]) -> Iterator[RawMail]:
        """Yield the mails' bytes, in the order asked for, without marking them seen."""
        ...

    def read_headers(self, uids: Sequence[Uid]) -> Iterator[tuple[Uid, bytes]]:
        """Yield the mails' headers, in the order asked for, without marking them seen.

        A header of more than 256 KiB is left out.
        """
        ...

    def check(self) -> bool:
        """Ask, in one round trip, whether mail may have come that was not listed.

        True on POP3, where only a new session sees new mail.
        """
        ...

    def mark_seen(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Mark mails seen; return those that carry the flag now.

        Raises:
            SessionError: The server refused, or would forget the flag; the mails stay.
        """
        ...

    def move(self, uids: Sequence[Uid], folder: str) -> frozenset[Uid]:
        """Move mails to another folder; return those that are no longer in this one.

        Raises:
            FolderNotFoundError: There is no such folder.
            SessionError: The server refused; the mails stay.
        """
        ...

    def delete(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Delete mails; return those that are gone, or will be when the session is closed.

        POP3 does it at the end of a session, and not at all when the connection is lost before.

        Raises:
            SessionError: The server refused; the mails stay.
        """
        ...

    def ensure_folder(self, folder: str) -> None:
        """Create a folder unless it exists. Idempotent.

        Raises:
            SessionError: It does not exist, and the server refused to create it.
        """
        ...

    def close(self) -> None:
        """Leave cleanly; POP3 commits its deletions here. Idempotent; never raises."""
        ...


@runtime_checkable
class TellsProgress(Protocol):
    """Be a session that tells when octets come: its user can hold the mailbox meanwhile.

    An ability that a `MailSession` may have. Without it a mail that takes longer than a lease is
    read by two workers in turn, and by neither to its end.
    """

    def on_progress(self, heard: Callable[[], None] | None) -> None:
        """Call `heard` whenever octets of an answer come; None: nobody.

        It is called often, in the thread that called the session. An error of
        `mailrouting.errors` that it raises ends the connection and leaves the method as it is.
        """
        ...


SessionOpener = Callable[[EmailAccount], MailSession]
"""Open the account's mailbox, or raise a `SessionError` or `ConfigurationError`."""


class Credentials(Protocol):
    """Bring the secrets, which are never part of an account."""

    def get(self, account_id: str, direction: Direction) -> Credential:
        """Return the secret for one login.

        Raises:
            ConfigurationError: There is none.
        """
        ...
