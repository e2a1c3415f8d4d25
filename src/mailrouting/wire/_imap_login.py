"""Open an IMAP connection and log in: TLS first, one attempt, errors by response code."""

import base64
import json
import ssl
from collections.abc import Collection
from typing import cast

from mailrouting.accounts import InboundSettings, TlsMode
from mailrouting.auth import (
    Credential,
    LoginAttempt,
    MailProtocol,
    Mechanism,
    login_arguments,
    plan_login,
    sasl_response,
)
from mailrouting.errors import ConfigurationError, SessionError
from mailrouting.wire._deadline import Timeouts
from mailrouting.wire._imap_client import Connection, TaggedNo, quoted
from mailrouting.wire.trouble import Place

__all__ = ["open_connection"]


def open_connection(
    inbound: InboundSettings,
    credential: Credential,
    *,
    tls: ssl.SSLContext,
    timeouts: Timeouts,
    account_id: str | None,
) -> tuple[Connection, frozenset[str]]:
    """Connect, encrypt, log in; return the connection and the capabilities after the login.

    Raises:
        ConfigurationError: The endpoint contradicts itself, or nothing offered can say what the
            login says; then nothing was tried.
        ConnectError: The server cannot be reached, or puts the login off.
        TlsError: TLS cannot be established or trusted.
        AuthenticationError: The server refused the login.
        PeerProtocolError: It speaks no IMAP.
    """
    endpoint = inbound.endpoint.resolve(MailProtocol.IMAP)
    place = Place(account_id=account_id, endpoint=str(endpoint))
    connection = Connection(endpoint, tls=tls, timeouts=timeouts, place=place)
    try:
        _require_stranger(connection)
        if endpoint.tls is TlsMode.STARTTLS:
            _start_tls(connection, tls)
        return connection, _log_in(connection, inbound, credential)
    except BaseException:
        connection.close()
        raise


def _require_stranger(connection: Connection) -> None:
    """Refuse PREAUTH: it would skip STARTTLS and our login (RFC 9051 §11.1)."""
    if connection.protocol.state != "NONAUTH":
        raise connection.place.broken(
            "it greets with PREAUTH, though nobody has logged in", command="CONNECT"
        )


def _start_tls(connection: Connection, tls: ssl.SSLContext) -> None:
    """Encrypt, or fail: there is no way on in plain text."""
    hint = "Use the server's TLS port (993), or name CLEARTEXT if that is really wanted."
    if "STARTTLS" not in _capabilities(connection):
        raise connection.place.untrusted("it offers no STARTTLS", command="STARTTLS", hint=hint)
    refusal: SessionError
    try:
        connection.attempt("STARTTLS", lambda: connection.protocol.encrypt(tls), opening=True)
    except TaggedNo:
        refusal = connection.place.untrusted("it refused STARTTLS", command="STARTTLS", hint=hint)
    else:
        return
    raise refusal


def _capabilities(connection: Connection) -> frozenset[str]:
    return _names(connection.attempt("CAPABILITY", connection.client.capabilities, opening=True))


def _names(told: tuple[bytes, ...]) -> frozenset[str]:
    return frozenset(name.decode("ascii", "replace") for name in told)


def _offered(capabilities: Collection[str]) -> frozenset[Mechanism]:
    """Return what can be used to log in; LOGIN is a command that can be switched off."""
    sasl = (Mechanism.PLAIN, Mechanism.XOAUTH2, Mechanism.OAUTHBEARER)
    offered = {mechanism for mechanism in sasl if f"AUTH={mechanism.value}" in capabilities}
    if "LOGINDISABLED" not in capabilities:
        offered.add(Mechanism.LOGIN)
    return frozenset(offered)


def _log_in(
    connection: Connection, inbound: InboundSettings, credential: Credential
) -> frozenset[str]:
    capabilities = _capabilities(connection)
    attempt = plan_login(
        inbound.login,
        credential,
        protocol=MailProtocol.IMAP,
        offered=_offered(capabilities),
        dialect=inbound.dialect,
        master_user_separator=inbound.master_user_separator,
    )
    exchange = _Exchange(connection, attempt, credential, initial="SASL-IR" in capabilities)
    refusal: SessionError
    with connection.hiding(exchange.secrets):
        try:
            told = connection.attempt(exchange.verb, exchange.log_in, opening=True)
        except TaggedNo as no:
            said = " ".join(filter(None, (connection.excerpt(no.text), exchange.status)))
            refusal = connection.place.login_refused(
                said, code=no.code, mechanism=attempt.mechanism.value, command=exchange.verb
            )
        else:
            return _names(told)
    raise refusal


class _Exchange:
    """Prove an identity, one time."""

    def __init__(
        self,
        connection: Connection,
        attempt: LoginAttempt,
        credential: Credential,
        *,
        initial: bool,
    ) -> None:
        self._connection = connection
        self._attempt = attempt
        self._credential = credential
        self._initial = initial
        self._answered = False
        self.status = ""
        self.verb = "LOGIN" if attempt.mechanism is Mechanism.LOGIN else "AUTHENTICATE"

    def secrets(self) -> tuple[str, ...]:
        """Return what a server could echo."""
        secret = self._credential.secret.reveal()
        if self._attempt.mechanism is Mechanism.LOGIN:
            return (quoted(secret), quoted(secret)[1:-1], secret)
        return (base64.b64encode(self._response()).decode("ascii"), secret)

    def log_in(self) -> tuple[bytes, ...]:
        """Log in; return the capabilities of the one who is logged in now."""
        if self._attempt.mechanism is Mechanism.LOGIN:
            self._command()
        else:
            self._sasl()
        # The server mostly tells them with its OK; what it offers a stranger may differ.
        return self._connection.client.capabilities()

    def _command(self) -> None:
        """Use IMAP's own command, which knows no characters but ASCII."""
        arguments = login_arguments(self._attempt, self._credential)
        if not all(argument.isascii() for argument in arguments):
            raise ConfigurationError(
                "the user name or the secret is not ASCII, and the server offers LOGIN only",
                hint="Choose a user name and a password in ASCII, or a server that offers PLAIN.",
            )
        self._connection.protocol.log_in(*arguments)

    def _sasl(self) -> None:
        initial = self._response() if self._initial else None
        self._answered = self._initial
        self._connection.protocol.authenticate_with(
            self._attempt.mechanism.value, self._respond, initial=initial
        )

    def _response(self) -> bytes:
        endpoint = self._connection.endpoint
        return sasl_response(
            self._attempt, self._credential, host=endpoint.host, port=endpoint.port
        )

    def _respond(self, challenge: bytes) -> bytes | None:
        """Answer the empty challenge with the response; a second one says why it is refused."""
        if not self._answered:
            self._answered = True
            return self._response()
        self.status = _status(challenge)
        match self._attempt.mechanism:
            case Mechanism.XOAUTH2:
                return b""
            case Mechanism.OAUTHBEARER:
                return b"\x01"  # RFC 7628 §3.2.3
            case _:
                return None


def _status(challenge: bytes) -> str:
    """Return the status in an error challenge (RFC 7628 §3.2.2), or nothing."""
    try:
        told = json.loads(challenge)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(told, dict):
        return ""
    status = cast("dict[str, object]", told).get("status")
    return f"(status {status[:40]})" if isinstance(status, str) and status.isascii() else ""
