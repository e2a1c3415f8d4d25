"""Open, name and create folders over IMAP."""

from collections.abc import Sequence

import attrs

from mailrouting.accounts import canonical_folder
from mailrouting.errors import SessionError
from mailrouting.session import FolderStatus, MailInfo
from mailrouting.wire._imap_client import Connection, folder_name
from mailrouting.wire._imap_protocol import TaggedNo
from mailrouting.wire._imap_read import flag_names, number_told

__all__ = ["Opened", "create_folder", "folder_refusal", "open_folder"]

_NO_SUCH_FOLDER = frozenset({"NONEXISTENT", "TRYCREATE"})
_ANY_KEYWORD = "\\*"


@attrs.define(kw_only=True, eq=False)
class Opened:
    """Be the folder that is open: another object each time one is opened.

    Attributes:
        name: As it was asked for.
        status: How it stood when it was opened.
        messages: How many mails are in it, as far as the server told.
        permanent: The flags that it keeps, lower case; None when not told, which means all
            (RFC 9051 §7.1).
        known: What was told of mails that are about to be read; sizes and dates never change.
        is_listed: Whether its mails were listed since it was opened.
        listed: The listing that was asked for ahead, until it is used.
    """

    name: str
    status: FolderStatus
    messages: int
    permanent: frozenset[str] | None
    known: dict[int, MailInfo] = attrs.field(factory=dict[int, MailInfo])
    is_listed: bool = False
    listed: frozenset[int] | None = None

    def note_listing(self, found: frozenset[int]) -> None:
        """Keep a listing that was asked for ahead."""
        self.listed = found

    def keeps(self, flag: str) -> bool:
        """Say whether a flag that is set here outlasts the session."""
        if self.permanent is None or flag.lower() in self.permanent:
            return True
        return not flag.startswith("\\") and _ANY_KEYWORD in self.permanent


def open_folder(connection: Connection, folder: str, *, writable: bool) -> Opened:
    """Open a folder.

    Raises:
        FolderNotFoundError: There is none of that name.
        SessionError: The server refused, gives the folder read-only though `writable`, or its
            UIDs do not last.
        PeerProtocolError: The numbers that it tells make no sense.
    """
    verb = "SELECT" if writable else "EXAMINE"
    error: SessionError
    try:
        told = connection.attempt(
            verb, lambda: connection.client.open_folder(folder, writable=writable)
        )
    except TaggedNo as no:
        error = folder_refusal(connection, folder, verb, no)
    else:
        return _opened(connection, folder, told, writable=writable)
    raise error


def _opened(
    connection: Connection, folder: str, told: dict[bytes, object], *, writable: bool
) -> Opened:
    place = connection.place
    if writable and b"READ-ONLY" in told:
        raise place.read_only(folder)
    if b"UIDNOTSTICKY" in told or b"UIDVALIDITY" not in told:
        # RFC 4315 §2, RFC 9051 §7.1: tomorrow they would mean other mails.
        raise place.uids_that_do_not_last(folder, command="SELECT")
    uidvalidity, messages = number_told(told[b"UIDVALIDITY"]), told.get(b"EXISTS")
    if not uidvalidity or not isinstance(messages, int) or messages < 0:
        connection.close()
        raise place.broken(
            f"it opened {folder!r} without a valid UIDVALIDITY and EXISTS", command="SELECT"
        )
    connection.exists = None
    permanent = told.get(b"PERMANENTFLAGS")
    status = FolderStatus(
        uidvalidity=uidvalidity,
        uidnext=number_told(told.get(b"UIDNEXT")),
        messages=messages,
        writable=writable,
    )
    return Opened(
        name=folder,
        status=status,
        messages=messages,
        permanent=None
        if permanent is None
        else frozenset(name.lower() for name in flag_names(permanent)),
    )


def folder_refusal(connection: Connection, folder: str, verb: str, no: TaggedNo) -> SessionError:
    """Tell a folder that is missing from one that is refused."""
    names = _folder_names(connection)
    known = folder in names or canonical_folder(folder) == "INBOX"
    if no.code in _NO_SUCH_FOLDER or not known:
        return connection.place.no_folder(folder, available=names, command=verb, code=no.code)
    return connection.refusal(verb, no)


def _folder_names(connection: Connection) -> Sequence[str]:
    try:
        listed = connection.attempt("LIST", connection.client.list_folders)
    except TaggedNo:
        return ()
    return sorted(name for _, _, name in listed if isinstance(name, str))


def create_folder(connection: Connection, folder: str) -> None:
    """Create a folder unless it exists, and subscribe to it, so that people's programs show it.

    Raises:
        SessionError: It does not exist, and the server refused to create it.
    """
    if canonical_folder(folder) == "INBOX":
        return
    name = folder_name(folder)
    refused = connection.flight(("CREATE", name), ("SUBSCRIBE", name)).refusals[0]
    if refused is None or refused.code == "ALREADYEXISTS" or _exists(connection, folder):
        return
    raise connection.refusal("CREATE", refused)


def _exists(connection: Connection, folder: str) -> bool:
    try:
        # Not LIST: there "*" and "%" in a name are wildcards.
        connection.attempt(
            "STATUS", lambda: connection.client.folder_status(folder, ["UIDVALIDITY"])
        )
    except TaggedNo:
        return False
    return True
