"""Every error of the library, split by whose move it is and whether a retry may help (floor 0).

::

    MailroutingError                   .hint .retryable
    ├─ ConfigurationError              ValueError       the operator's move; never retry
    │  ├─ LoginStringError             .text .position .expected
    │  ├─ AddressError                 .text .position .expected
    │  ├─ AccountError                 .account_id .field
    │  └─ OutboundUnresolvedError      .tried
    ├─ SessionError                    .account_id .endpoint .command .response_code
    │  ├─ ConnectError                 ConnectionError  retry
    │  ├─ TlsError                     the operator's move: name, chain or version is wrong
    │  ├─ AuthenticationError          .mechanism       the operator's move; a retry may lock the login out
    │  ├─ SessionLostError             ConnectionError  retry: what was committed stays
    │  ├─ FolderNotFoundError          LookupError      .available
    │  └─ PeerProtocolError            .excerpt         the server broke its protocol; retry
    ├─ StorageError
    │  ├─ StorageUnavailableError      retry: nothing was written
    │  ├─ StaleWriteError              .expected .found read again, then decide
    │  └─ RecordNotFoundError          LookupError
    └─ HookError                       .hook            the host's move; the mail is tried again
       └─ TransactionMisuseError       the hook began, committed or rolled back, or wrote elsewhere

An error's text is the fact, then what was found and what is expected. Evidence is in attributes,
`hint` is one sentence that says what to do. No text holds a password or a token. The first two under
`ConfigurationError` share a private base for their attributes, which nobody is meant to catch.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

__all__ = [
    "AccountError",
    "AddressError",
    "AuthenticationError",
    "ConfigurationError",
    "ConnectError",
    "FolderNotFoundError",
    "HookError",
    "LoginStringError",
    "MailroutingError",
    "OutboundUnresolvedError",
    "PeerProtocolError",
    "RecordNotFoundError",
    "SessionError",
    "SessionLostError",
    "StaleWriteError",
    "StorageError",
    "StorageUnavailableError",
    "TlsError",
    "TransactionMisuseError",
    "TriedStep",
]


class TriedStep(Protocol):
    """Say what was tried and why it was passed over."""

    @property
    def step(self) -> str:
        """Name the step."""
        ...

    @property
    def because(self) -> str:
        """Give the reason in one sentence."""
        ...


class MailroutingError(Exception):
    """Be the root of every error that this library raises on purpose.

    Attributes:
        hint: One imperative sentence: what to do. Empty when the text says it all.
        retryable: True when the same call may succeed later without anybody's change.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigurationError(MailroutingError, ValueError):
    """Report a setting that cannot work; nothing was tried."""


class _TextError(ConfigurationError):
    """Point at the place in a text where it stops making sense."""

    def __init__(
        self, message: str, *, text: str, position: int, expected: str, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.text = text
        self.position = position
        self.expected = expected


class LoginStringError(_TextError):
    """Report a login string outside the grammar of `mailrouting.auth`.

    Attributes:
        text: The login string as given.
        position: Index of the first character that is wrong, from 0; `len(text)` for a missing end.
        expected: What should stand there.
    """


class AddressError(_TextError):
    """Report a text that is no addr-spec (RFC 5322 §3.4.1).

    Attributes:
        text: The text as given.
        position: Index of the first character that is wrong, from 0; `len(text)` for a missing end.
        expected: What should stand there.
    """


class AccountError(ConfigurationError):
    """Report account data that cannot be read (URL, dictionary, configuration file).

    Attributes:
        account_id: The account, when it is known.
        field: Dotted path of the field, for instance `inbound.endpoint.port`.
    """

    def __init__(
        self, message: str, *, account_id: str | None = None, field: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.account_id = account_id
        self.field = field


class OutboundUnresolvedError(ConfigurationError):
    """Report that no address may send this mail.

    Attributes:
        tried: Every candidate in order, each with the reason it was passed over.
    """

    def __init__(self, message: str, *, tried: Sequence[TriedStep], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.tried: tuple[TriedStep, ...] = tuple(tried)


class SessionError(MailroutingError):
    """Report trouble with a mail server; raised as itself when a command was cleanly refused.

    Attributes:
        account_id: The account whose session it is, when known.
        endpoint: `host:port`.
        command: The protocol's verb that failed, for instance `SELECT`.
        response_code: The server's response code (RFC 5530, RFC 3206), upper case, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        account_id: str | None = None,
        endpoint: str = "",
        command: str = "",
        response_code: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.account_id = account_id
        self.endpoint = endpoint
        self.command = command
        self.response_code = response_code


class ConnectError(SessionError, ConnectionError):
    """Report that no session could be opened: unknown host, refused, silent or busy server."""

    retryable = True


class TlsError(SessionError):
    """Report that TLS could not be established or trusted; never answered by a weaker connection."""


class AuthenticationError(SessionError):
    """Report that the server refused the login.

    Attributes:
        mechanism: The mechanism that was tried, for instance `PLAIN`.
    """

    def __init__(
        self,
        message: str,
        *,
        mechanism: str = "",
        account_id: str | None = None,
        endpoint: str = "",
        command: str = "",
        response_code: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(
            message,
            account_id=account_id,
            endpoint=endpoint,
            command=command,
            response_code=response_code,
            hint=hint,
        )
        self.mechanism = mechanism


class SessionLostError(SessionError, ConnectionError):
    """Report that an open session ended; what was committed stays, the rest is seen again."""

    retryable = True


class FolderNotFoundError(SessionError, LookupError):
    """Report that a configured folder does not exist on the server.

    Attributes:
        available: Folders that do exist, as many as the server told.
    """

    def __init__(
        self,
        message: str,
        *,
        available: Sequence[str] = (),
        account_id: str | None = None,
        endpoint: str = "",
        command: str = "",
        response_code: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(
            message,
            account_id=account_id,
            endpoint=endpoint,
            command=command,
            response_code=response_code,
            hint=hint,
        )
        self.available: tuple[str, ...] = tuple(available)


class PeerProtocolError(SessionError):
    """Report an answer that the protocol does not allow; the session is closed.

    Attributes:
        excerpt: What the server said: bounded, printable, without mail content.
    """

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        excerpt: str = "",
        account_id: str | None = None,
        endpoint: str = "",
        command: str = "",
        response_code: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(
            message,
            account_id=account_id,
            endpoint=endpoint,
            command=command,
            response_code=response_code,
            hint=hint,
        )
        self.excerpt = excerpt


class StorageError(MailroutingError):
    """Report trouble with the storage."""


class StorageUnavailableError(StorageError):
    """Report that the storage, or the host's database, is busy or away; nothing was written.

    A hook may raise it too: the attempt is given back and the mail is tried again.
    """

    retryable = True


class StaleWriteError(StorageError):
    """Report a write by someone who no longer holds what it stands on; nothing was written.

    Raised for an account saved over a newer version, a lost claim and a lost lease.

    Attributes:
        expected: The version, claim or lease token that the writer has.
        found: The one that the storage has, or None when there is none.
    """

    def __init__(
        self, message: str, *, expected: int | None, found: int | None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.expected = expected
        self.found = found


class RecordNotFoundError(StorageError, LookupError):
    """Report that there is no record with that id."""


class HookError(MailroutingError):
    """Wrap what a host's hook raised (`__cause__`), or say what it returned in error.

    Attributes:
        hook: The hook's name, for instance `open_ticket`.
    """

    def __init__(self, message: str, *, hook: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.hook = hook


class TransactionMisuseError(HookError):
    """Report a write hook that began, committed or rolled back, or wrote through another connection.

    The storage's transaction was rolled back: no half of the hook's work stays that went
    through `tx`.
    """
