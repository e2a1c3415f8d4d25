"""Word the errors of mail sessions in one place, for every protocol and for the fakes."""

import re
from collections.abc import Iterable, Sequence

import attrs

from mailrouting.errors import (
    AuthenticationError,
    ConnectError,
    FolderNotFoundError,
    PeerProtocolError,
    SessionError,
    SessionLostError,
    TlsError,
)

__all__ = ["Place", "excerpt", "response_code"]

_LONGEST_EXCERPT = 200
_MOST_FOLDERS = 50
_MOST_NAMED_FOLDERS = 20
_CODE = re.compile(r"\[([A-Za-z][A-Za-z0-9/-]*)[^\]]*\]")

# RFC 5530 and RFC 3206: the server says that the login itself may be right.
_BUSY_CODES = frozenset(
    {"UNAVAILABLE", "INUSE", "IN-USE", "LIMIT", "SERVERBUG", "SYS/TEMP", "LOGIN-DELAY"}
)

# RFC 3206 §4: nothing about the login, and a person must act.
_BROKEN_CODES = frozenset({"SYS/PERM"})


def response_code(text: str) -> str | None:
    """Return the first response code in a status text (RFC 5530), upper case, or None.

    >>> response_code("[unavailable] Try later")
    'UNAVAILABLE'
    """
    found = _CODE.search(text)
    return found[1].upper() if found else None


def excerpt(said: str, *, hide: Iterable[str] = ()) -> str:
    r"""Return what a server said: bounded, printable, with the secrets in `hide` as stars.

    >>> excerpt("no\r\n such user hunter2", hide=["hunter2"])
    'no?? such user ********'
    """
    for secret in hide:
        if secret:
            said = said.replace(secret, "********")
    said = "".join(
        character if character.isprintable() else "?" for character in said[:_LONGEST_EXCERPT]
    )
    return said.strip()


@attrs.frozen(kw_only=True)
class Place:
    """Say whose session it is and where, and make the errors that name both.

    Attributes:
        account_id: The account, when known.
        endpoint: `host:port`.
    """

    account_id: str | None
    endpoint: str

    def unreachable(
        self, because: str, *, command: str = "CONNECT", code: str | None = None
    ) -> ConnectError:
        """Say that no session could be opened."""
        return ConnectError(
            f"no session with {self.endpoint}: {because}",
            account_id=self.account_id,
            endpoint=self.endpoint,
            command=command,
            response_code=code,
            hint="Check host, port and network; it is tried again by itself.",
        )

    def untrusted(self, because: str, *, command: str = "CONNECT", hint: str = "") -> TlsError:
        """Say that TLS failed."""
        return TlsError(
            f"no trusted TLS connection with {self.endpoint}: {because}",
            account_id=self.account_id,
            endpoint=self.endpoint,
            command=command,
            hint=hint or "Check the host's name and its certificate, or name its CA file.",
        )

    def login_refused(
        self, said: str, *, code: str | None, mechanism: str = "", command: str = "LOGIN"
    ) -> SessionError:
        """Say that a login was refused: by its response code, never by its wording."""
        if code in _BUSY_CODES:
            return self.unreachable(
                f"the login was put off [{code}] {said}".rstrip(), command=command, code=code
            )
        if code in _BROKEN_CODES:
            return self.refused(
                said,
                command=command,
                code=code,
                hint="Ask the server's operator: the login is not what is wrong.",
            )
        shown = f"[{code}] {said}" if code else said
        return AuthenticationError(
            f"{self.endpoint} refused the login: {shown.strip() or 'no reason given'}",
            mechanism=mechanism,
            account_id=self.account_id,
            endpoint=self.endpoint,
            command=command,
            response_code=code,
            hint="Check user name, secret and the right to open this mailbox before another try.",
        )

    def lost(self, because: str, *, command: str) -> SessionLostError:
        """Say that an open session ended."""
        return SessionLostError(
            f"the session with {self.endpoint} ended: {because}",
            account_id=self.account_id,
            endpoint=self.endpoint,
            command=command,
            hint="Open a new session; what was committed stays, the rest is seen again.",
        )

    def broken(self, because: str, *, command: str, said: str = "") -> PeerProtocolError:
        """Say that the server answered what its protocol does not allow."""
        return PeerProtocolError(
            f"{self.endpoint} broke the protocol: {because}",
            excerpt=said,
            account_id=self.account_id,
            endpoint=self.endpoint,
            command=command,
            hint="Open a new session; if it stays so, report it to the server's operator.",
        )

    def refused(
        self, said: str, *, command: str, code: str | None = None, hint: str = ""
    ) -> SessionError:
        """Say that a command was cleanly refused; the session goes on."""
        shown = f"[{code}] {said}" if code else said
        return SessionError(
            f"{self.endpoint} refused {command}: {shown.strip() or 'no reason given'}",
            account_id=self.account_id,
            endpoint=self.endpoint,
            command=command,
            response_code=code,
            hint=hint or "Read the server's reason; nothing was changed by this command.",
        )

    def no_folder(
        self, folder: str, *, available: Sequence[str], command: str, code: str | None = None
    ) -> FolderNotFoundError:
        """Say that a folder does not exist."""
        return FolderNotFoundError(
            f"{self.endpoint} has no folder {folder!r} for this login",
            available=available[:_MOST_FOLDERS],
            account_id=self.account_id,
            endpoint=self.endpoint,
            command=command,
            response_code=code,
            hint=_folder_hint(available),
        )

    def read_only(self, folder: str) -> SessionError:
        """Say that a folder is read-only though mails are to be changed."""
        return SessionError(
            f"{self.endpoint} gives the folder {folder!r} read-only",
            account_id=self.account_id,
            endpoint=self.endpoint,
            command="SELECT",
            response_code="READ-ONLY",
            hint="Give the login the right to change mails there, or set the account to keep them.",
        )

    def uids_that_do_not_last(self, folder: str, *, command: str) -> SessionError:
        """Say that a folder's UIDs mean other mails tomorrow."""
        return SessionError(
            f"the UIDs in {folder!r} do not last at {self.endpoint}: no mail can be known again",
            account_id=self.account_id,
            endpoint=self.endpoint,
            command=command,
            response_code="UIDNOTSTICKY",
            hint="Fetch from a folder that the server numbers for good, or use POP3.",
        )

    def flag_not_kept(self, flag: str, folder: str) -> SessionError:
        """Say that the server forgets a flag when the session ends (PERMANENTFLAGS)."""
        return SessionError(
            f"{self.endpoint} does not keep {flag} in the folder {folder!r}; nothing was changed",
            account_id=self.account_id,
            endpoint=self.endpoint,
            command="STORE",
            response_code="PERMANENTFLAGS",
            hint="Give the login the right to set it, or have the account do something else.",
        )

    def misused(self, because: str, *, command: str) -> SessionError:
        """Say that a session was asked for what it cannot do in its state; nothing was sent."""
        return SessionError(
            f"{command} was not sent: {because}",
            account_id=self.account_id,
            endpoint=self.endpoint,
            command=command,
            hint="Open the folder first, writable where mails are to be changed.",
        )

    def shared(self, *, command: str) -> SessionError:
        """Say that two threads use a session at once; nothing was sent for the second."""
        return SessionError(
            f"{command} was not sent: another thread is using the session",
            account_id=self.account_id,
            endpoint=self.endpoint,
            command=command,
            hint="Open a session for each thread.",
        )


def _folder_hint(available: Sequence[str]) -> str:
    if not available:
        return "Create it, or name another."
    named = ", ".join(f"'{excerpt(name)}'" for name in available[:_MOST_NAMED_FOLDERS])
    more = len(available) - _MOST_NAMED_FOLDERS
    return f"Name one that exists: {named}{f' and {more} more' if more > 0 else ''}; or create it."
