"""Open a POP3 connection and log in: TLS first, one attempt, errors by response code."""

import base64
import ssl

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
from mailrouting.wire._pop3_client import ErrReply, Pop3Connection
from mailrouting.wire._sasl import SaslAnswers
from mailrouting.wire.trouble import Place

__all__ = ["open_pop3"]

_SASL = (Mechanism.PLAIN, Mechanism.XOAUTH2, Mechanism.OAUTHBEARER)


def open_pop3(
    inbound: InboundSettings,
    credential: Credential,
    *,
    tls: ssl.SSLContext,
    timeouts: Timeouts,
    account_id: str | None,
) -> Pop3Connection:
    """Connect, encrypt, log in.

    APOP is not used: it is MD5 over what a server in the middle may choose.

    Raises:
        ConfigurationError: The endpoint contradicts itself, or nothing offered can say what the
            login says; then nothing was tried.
        ConnectError: The server cannot be reached, or puts the login off.
        TlsError: TLS cannot be established or trusted.
        AuthenticationError: The server refused the login.
        PeerProtocolError: It speaks no POP3.
        SessionError: It says that it is broken (RFC 3206, SYS/PERM).
    """
    endpoint = inbound.endpoint.resolve(MailProtocol.POP3)
    place = Place(account_id=account_id, endpoint=str(endpoint))
    connection = Pop3Connection(endpoint, tls=tls, timeouts=timeouts, place=place)
    try:
        if endpoint.tls is TlsMode.STARTTLS:
            _start_tls(connection, tls)
        _ask_capabilities(connection)
        _log_in(connection, inbound, credential)
    except BaseException:
        connection.close()
        raise
    return connection


def _ask_capabilities(connection: Pop3Connection) -> None:
    """Ask what the server can; one that knows no CAPA has USER, and may lack all else."""
    try:
        told = connection.ask_lines("CAPA", opening=True)
    except ErrReply:
        connection.capabilities = {"USER": ()}
        return
    words = [line.decode("ascii", "replace").upper().split() for line in told]
    connection.capabilities = {name: tuple(rest) for name, *rest in filter(None, words)}


def _start_tls(connection: Pop3Connection, tls: ssl.SSLContext) -> None:
    """Encrypt, or fail: there is no way on in plain text.

    CAPA is not asked before: what is said in plain text is nobody's word (RFC 2595 §4).
    """
    refusal: SessionError
    try:
        connection.encrypt(tls)
    except ErrReply:
        refusal = connection.place.untrusted(
            "it refused STLS",
            command="STLS",
            hint="Use the server's TLS port (995), or name CLEARTEXT if that is really wanted.",
        )
    else:
        return
    raise refusal


def _offered(connection: Pop3Connection) -> frozenset[Mechanism]:
    capabilities = connection.capabilities
    sasl = capabilities.get("SASL", ())
    offered = {mechanism for mechanism in _SASL if mechanism.value in sasl}
    if "USER" in capabilities:
        offered.add(Mechanism.USER_PASS)
    return frozenset(offered)


def _log_in(connection: Pop3Connection, inbound: InboundSettings, credential: Credential) -> None:
    attempt = plan_login(
        inbound.login,
        credential,
        protocol=MailProtocol.POP3,
        offered=_offered(connection),
        dialect=inbound.dialect,
        master_user_separator=inbound.master_user_separator,
    )
    if attempt.mechanism is Mechanism.USER_PASS:
        _by_command(connection, attempt, credential)
    else:
        _by_sasl(connection, attempt, credential)


def _by_command(connection: Pop3Connection, attempt: LoginAttempt, credential: Credential) -> None:
    username, secret = login_arguments(attempt, credential)
    if not (username + secret).isascii():
        raise ConfigurationError(
            "the user name or the secret is not ASCII, and the server offers USER and PASS only",
            hint="Choose a user name and a password in ASCII, or a server that offers PLAIN.",
        )
    refusal: SessionError
    with connection.hiding(lambda: (secret,)):
        verb = "USER"
        try:
            connection.ask(f"USER {username}", opening=True)
            verb = "PASS"
            connection.ask(f"PASS {secret}", verb=verb, opening=True)
        except ErrReply as err:
            refusal = _refused(connection, attempt, err, verb)
        else:
            return
    raise refusal


def _by_sasl(connection: Pop3Connection, attempt: LoginAttempt, credential: Credential) -> None:
    answers = SaslAnswers(attempt, credential, endpoint=connection.endpoint)
    coded = base64.b64encode(answers.response).decode("ascii")
    refusal: SessionError
    with connection.hiding(lambda: (coded, credential.secret.reveal())):
        try:
            connection.prove(attempt.mechanism.value, answers.answer)
        except ErrReply as err:
            refusal = _refused(connection, attempt, err, "AUTH", answers.status)
        else:
            return
    raise refusal


def _refused(
    connection: Pop3Connection, attempt: LoginAttempt, err: ErrReply, verb: str, status: str = ""
) -> SessionError:
    return connection.place.login_refused(
        " ".join(filter(None, (connection.excerpt(err.text), status))),
        code=err.code,
        mechanism=attempt.mechanism.value,
        command=verb,
    )
