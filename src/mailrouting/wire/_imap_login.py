"""Open an IMAP connection and log in: TLS first, one attempt, errors by response code."""

import base64
import ssl
from collections.abc import Collection

from mailrouting.accounts import InboundSettings, TlsMode
from mailrouting.auth import (
    Credential,
    LoginAttempt,
    MailProtocol,
    Mechanism,
    login_arguments,
    plan_login,
)
from mailrouting.errors import ConfigurationError, SessionError
from mailrouting.wire._deadline import Timeouts
from mailrouting.wire._imap_client import Connection
from mailrouting.wire._imap_protocol import TaggedNo, quoted
from mailrouting.wire._sasl import SaslAnswers
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
        is_command = attempt.mechanism is Mechanism.LOGIN
        self._sasl = (
            None if is_command else SaslAnswers(attempt, credential, endpoint=connection.endpoint)
        )
        self.verb = "LOGIN" if is_command else "AUTHENTICATE"

    @property
    def status(self) -> str:
        """Return the status that came with a refusal, or nothing."""
        return "" if self._sasl is None else self._sasl.status

    def secrets(self) -> tuple[str, ...]:
        """Return what a server could echo."""
        secret = self._credential.secret.reveal()
        if self._sasl is None:
            return (quoted(secret), quoted(secret)[1:-1], secret)
        return (base64.b64encode(self._sasl.response).decode("ascii"), secret)

    def log_in(self) -> tuple[bytes, ...]:
        """Log in; return the capabilities of the one who is logged in now."""
        if self._sasl is None:
            self._command()
        else:
            self._connection.protocol.authenticate_with(
                self._attempt.mechanism.value,
                self._sasl.answer,
                initial=self._sasl.initial() if self._initial else None,
            )
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
