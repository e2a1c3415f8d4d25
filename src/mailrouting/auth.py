r"""Decide who logs in, and whose mailbox is opened (floor 1).

One string names both (`Login`). Its grammar, with SP and HTAB around it dropped, in ABNF
(RFC 5234)::

    login-string = part *(separator part)
    separator    = "\" / "/"
    part         = [quoted-string "@"] 1*plain   ; RFC 5322 quoted-string: a separator in it is text
    plain        = any character but separators, C0, DEL, C1, U+2028, U+2029

Their number, and an `@` in the first, give the two identities (`parse_login`). What then goes on
the wire depends on the server's dialect: one string means several things (`plan_login`).
"""

import enum
import hmac
import re
from collections.abc import Collection
from datetime import datetime
from typing import NoReturn, final

import attrs

from mailrouting.addresses import find_control, find_unsendable
from mailrouting.errors import ConfigurationError, LoginStringError

__all__ = [
    "Bearer",
    "Credential",
    "Dialect",
    "Login",
    "LoginAttempt",
    "MailProtocol",
    "Mechanism",
    "Password",
    "Secret",
    "login_arguments",
    "parse_login",
    "plan_login",
    "sasl_response",
]

_SEPARATORS = "\\/"
_QUOTED_LOCAL_PART = re.compile(r'"(?:[^"\\]|\\.)*"(?=@)')


def _fail(text: str, position: int, expected: str) -> NoReturn:
    found = repr(text[position]) if position < len(text) else "its end"
    raise LoginStringError(
        f"login string: found {found} at position {position}, expected {expected}",
        text=text,
        position=position,
        expected=expected,
        hint=r"Write user@domain or user@domain\shared@domain, perhaps with Server\ before it.",
    )


def _refuse_control(text: str) -> None:
    if (position := find_control(text)) is not None:
        _fail(text, position, "a printable character")


def _parts(text: str) -> list[tuple[int, int]]:
    """Return where each part starts and ends."""
    parts: list[tuple[int, int]] = []
    start = position = 0
    while True:
        if position == start and (quoted := _QUOTED_LOCAL_PART.match(text, position)):
            position = quoted.end()
        if position < len(text) and text[position] not in _SEPARATORS:
            position += 1
            continue
        if position == start:
            _fail(text, position, "a name")
        parts.append((start, position))
        if position == len(text):
            return parts
        position += 1
        start = position


@final
@attrs.frozen
class Login:
    r"""Hold who authenticates and whose mailbox is opened.

    Attributes:
        authname: Who authenticates, when that is another than the owner of the mailbox; else None.
        username: Whose mailbox is opened; authenticates itself when there is no `authname`.
        text: The login string as it was typed, without white space around it.
    """

    authname: str | None
    username: str
    text: str

    @classmethod
    def of(cls, *, username: str, authname: str | None = None) -> "Login":
        r"""Make a login that no login string can say, for instance a name that begins with `/`.

        >>> Login.of(authname="agent", username="/odd/name").username
        '/odd/name'

        Raises:
            LoginStringError: A name is empty or has a control character.
        """
        text = username if authname is None else f"{authname}\\{username}"
        _refuse_control(text)
        if not username:
            _fail(text, len(text), "a user name")
        if authname == "":
            _fail(text, 0, "a name that authenticates")
        return cls(authname=authname, username=username, text=text)

    def __str__(self) -> str:
        return self.text


def parse_login(text: str) -> Login:
    r"""Read a login string: who authenticates, and whose mailbox is opened.

    One part is the user name. When the first part has an `@`, it authenticates and the rest is
    the user name. Otherwise two parts are a server or domain prefix and a user name; of three, the
    first two joined authenticate; of more, the whole is the user name. Separators inside a kept
    name stay as they were typed, and `str(parse_login(s)) == s.strip(" \t")`.

    >>> parse_login(r"agent@example.org\sales@example.org").username
    'sales@example.org'
    >>> parse_login(r"Mail01\agent@example.org\sales@example.org").authname
    'Mail01\\agent@example.org'
    >>> parse_login(r"DOMAIN\user").authname is None
    True

    Raises:
        LoginStringError: The string is empty, has an empty part or a control character (C0, DEL,
            C1, U+2028, U+2029); says where, and what was expected.
    """
    text = text.strip(" \t")
    _refuse_control(text)
    match _parts(text):
        case [(start, end), _, *_] if "@" in text[start:end]:
            return Login(text[:end], text[end + 1 :], text)
        case [_, (_, end), _]:
            return Login(text[:end], text[end + 1 :], text)
        case _:
            return Login(None, text, text)


class Secret:
    """Hold a secret that no `str`, `repr`, format, pickle, error or log shows.

    Equality takes the same time wherever two secrets differ.

    >>> Secret("hunter2")
    Secret('********')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself: as late as possible, and never into a text that is kept."""
        return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}('********')"

    def __str__(self) -> str:
        return "********"

    def __format__(self, format_spec: str) -> str:
        return format(str(self), format_spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # Half a surrogate pair must not end in an error that quotes the secret.
        mine = self._value.encode(errors="surrogatepass")
        return hmac.compare_digest(mine, other._value.encode(errors="surrogatepass"))

    def __hash__(self) -> int:
        raise TypeError("a secret has no hash: one of a short secret tells it")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled or copied: fetch it again through Credentials")


@attrs.frozen(kw_only=True)
class Password:
    """Be a password credential."""

    secret: Secret

    @classmethod
    def of(cls, value: str) -> "Password":
        """Wrap a password."""
        return cls(secret=Secret(value))


@attrs.frozen(kw_only=True)
class Bearer:
    """Be an OAuth 2.0 access token (RFC 6750).

    Attributes:
        secret: The token.
        expires_at: When it ends, time-zone aware; None when unknown.
    """

    secret: Secret
    expires_at: datetime | None = None

    @classmethod
    def of(cls, value: str, *, expires_at: datetime | None = None) -> "Bearer":
        """Wrap a token."""
        return cls(secret=Secret(value), expires_at=expires_at)


Credential = Password | Bearer


class MailProtocol(enum.Enum):
    """Name the protocol that a login is for."""

    IMAP = "imap"
    POP3 = "pop3"
    SMTP = "smtp"


class Dialect(enum.Enum):
    """Say how a server wants to hear about a shared mailbox."""

    SASL = "sasl"
    """SASL PLAIN's authorization identity (RFC 4616): Dovecot, Cyrus, most others."""
    EXCHANGE = "exchange"
    """The joined name with LOGIN: Exchange on premises."""
    MASTER_USER = "master-user"
    """`mailbox*master` as the user name: Dovecot master users."""


class Mechanism(enum.Enum):
    """Name a way to log in: a SASL mechanism (RFC 4422), or a protocol's own command."""

    PLAIN = "PLAIN"
    LOGIN = "LOGIN"
    """IMAP's LOGIN command (RFC 9051 §6.2.3); on SMTP the SASL mechanism of that name."""
    USER_PASS = "USER/PASS"  # noqa: S105 - POP3's command names (RFC 1939 §7), not a password
    XOAUTH2 = "XOAUTH2"
    OAUTHBEARER = "OAUTHBEARER"


@attrs.frozen(kw_only=True)
class LoginAttempt:
    """Say with which mechanism and identities to log in. There is one attempt a login.

    Attributes:
        mechanism: What to use.
        authentication_identity: Whose credential it is (RFC 4422 authcid); for `LOGIN` and
            `USER_PASS` the user name to send.
        authorization_identity: Whose mailbox is opened (authzid), when it is not the same.
    """

    mechanism: Mechanism
    authentication_identity: str
    authorization_identity: str | None = None


def plan_login(
    login: Login,
    credential: Credential,
    *,
    protocol: MailProtocol,
    offered: Collection[Mechanism],
    dialect: Dialect = Dialect.SASL,
    master_user_separator: str = "*",
) -> LoginAttempt:
    r"""Choose the mechanism and the identities for one login.

    Pure: reads nothing but its arguments. On SMTP the one who authenticates is `authname`, or
    `username` without one: who holds the licence and the send-as right, never the joined string.

    >>> plan_login(parse_login(r"agent@example.org\sales@example.org"), Password.of("secret"),
    ...            protocol=MailProtocol.IMAP, offered={Mechanism.PLAIN}).authorization_identity
    'sales@example.org'

    Args:
        login: The parsed login string.
        credential: A password or a token; its value is not looked at.
        protocol: What is spoken.
        offered: What the server offers, allowed login commands included.
        dialect: How the server wants to hear about a shared mailbox.
        master_user_separator: Stands between mailbox and master user with `MASTER_USER`.

    Raises:
        ConfigurationError: Nothing offered can say what the login string says.
    """
    holder = login.authname or login.username
    if isinstance(credential, Bearer):
        identity = holder if protocol is MailProtocol.SMTP else login.username
        mechanism = _first((Mechanism.OAUTHBEARER, Mechanism.XOAUTH2), offered)
        return LoginAttempt(mechanism=mechanism, authentication_identity=identity)
    if protocol is MailProtocol.SMTP:
        mechanism = _first((Mechanism.PLAIN, Mechanism.LOGIN), offered)
        return LoginAttempt(mechanism=mechanism, authentication_identity=holder)
    command = Mechanism.LOGIN if protocol is MailProtocol.IMAP else Mechanism.USER_PASS
    if dialect is Dialect.EXCHANGE:  # which refuses the joined name with PLAIN
        mechanism = _first((command,), offered)
        return LoginAttempt(mechanism=mechanism, authentication_identity=login.text)
    mechanism = _first((Mechanism.PLAIN, command), offered)
    if dialect is Dialect.MASTER_USER:
        identity = login.username
        if login.authname is not None:
            identity = f"{login.username}{master_user_separator}{login.authname}"
        return LoginAttempt(mechanism=mechanism, authentication_identity=identity)
    if login.authname is None:
        return LoginAttempt(mechanism=mechanism, authentication_identity=login.username)
    if mechanism is not Mechanism.PLAIN:
        raise ConfigurationError(
            f"the server offers no PLAIN, and {mechanism.value} cannot say that "
            f"{login.authname!r} opens the mailbox {login.username!r}",
            hint="Set the account's dialect to EXCHANGE or MASTER_USER, as the server wants it.",
        )
    return LoginAttempt(
        mechanism=mechanism,
        authentication_identity=login.authname,
        authorization_identity=login.username,
    )


def _first(wanted: tuple[Mechanism, ...], offered: Collection[Mechanism]) -> Mechanism:
    for mechanism in wanted:
        if mechanism in offered:
            return mechanism
    names = sorted(mechanism.value for mechanism in offered)
    raise ConfigurationError(
        f"the server offers {', '.join(names) or 'no mechanism'} here; "
        f"this login needs {' or '.join(mechanism.value for mechanism in wanted)}",
        hint="Check TLS, the dialect, and whether the server wants a password or a token.",
    )


def _guard(value: str, *, what: str) -> str:
    """Refuse what would end or split a field on the wire, or fail to encode with the value shown."""
    if find_unsendable(value) is not None:
        raise ConfigurationError(
            f"{what} has a NUL, SOH, CR, LF or half a surrogate pair; it is not sent",
            hint="Enter it again: a line end was probably pasted with it.",
        )
    return value


def sasl_response(
    attempt: LoginAttempt, credential: Credential, *, host: str = "", port: int = 0
) -> bytes:
    r"""Build the initial SASL response, not yet in base64 (PLAIN, XOAUTH2, OAUTHBEARER).

    >>> attempt = LoginAttempt(mechanism=Mechanism.PLAIN, authentication_identity="agent",
    ...                        authorization_identity="sales")
    >>> sasl_response(attempt, Password.of("pw"))
    b'sales\x00agent\x00pw'

    Args:
        attempt: From `plan_login`.
        credential: What to prove the identity with; it is in the result, so do not log that.
        host: The server's name and `port`, named in OAUTHBEARER (RFC 7628 §3.1) when given.
        port: See `host`.

    Raises:
        ConfigurationError: A NUL, SOH, CR, LF or half a surrogate pair stands in a name or in the
            secret, or the mechanism has no such response.
    """
    identity = _guard(attempt.authentication_identity, what="the login name")
    secret = _guard(credential.secret.reveal(), what="the secret")
    match attempt.mechanism:
        case Mechanism.PLAIN:
            authorize = _guard(attempt.authorization_identity or "", what="the mailbox name")
            return f"{authorize}\0{identity}\0{secret}".encode()
        case Mechanism.XOAUTH2:
            return f"user={identity}\x01auth=Bearer {secret}\x01\x01".encode()
        case Mechanism.OAUTHBEARER:
            # RFC 5801 §4: "," and "=" are the only characters that a saslname escapes.
            name = identity.replace("=", "=3D").replace(",", "=2C")
            _guard(host, what="the server's name")
            where = (f"host={host}\x01" if host else "") + (f"port={port}\x01" if port else "")
            return f"n,a={name},\x01{where}auth=Bearer {secret}\x01\x01".encode()
        case _:
            raise ConfigurationError(f"{attempt.mechanism.value} is no SASL initial response")


def login_arguments(attempt: LoginAttempt, credential: Credential) -> tuple[str, str]:
    """Return the user name and the secret for `LOGIN` and `USER_PASS`.

    Raises:
        ConfigurationError: A NUL, SOH, CR, LF or half a surrogate pair stands in the name or in
            the secret.
    """
    name = _guard(attempt.authentication_identity, what="the login name")
    return name, _guard(credential.secret.reveal(), what="the secret")
