"""Say what a login string means."""

from collections.abc import Iterator

from mailrouting.auth import (
    Bearer,
    Dialect,
    Login,
    MailProtocol,
    Mechanism,
    Password,
    parse_login,
    plan_login,
)
from mailrouting.errors import ConfigurationError

__all__ = ["describe_login"]

_SITUATIONS = (
    (Dialect.SASL, MailProtocol.IMAP, Mechanism.PLAIN),
    (Dialect.SASL, MailProtocol.IMAP, Mechanism.LOGIN),
    (Dialect.EXCHANGE, MailProtocol.IMAP, Mechanism.LOGIN),
    (Dialect.MASTER_USER, MailProtocol.IMAP, Mechanism.PLAIN),
    (Dialect.SASL, MailProtocol.IMAP, Mechanism.XOAUTH2),
    (Dialect.SASL, MailProtocol.SMTP, Mechanism.PLAIN),
)


def describe_login(text: str) -> Iterator[str]:
    """Yield lines that say who logs in, whose mailbox is opened, and what is sent.

    Raises:
        LoginStringError: The text is no login string.
    """
    login = parse_login(text)
    yield f"authname  {login.authname or '(none: the mailbox itself logs in)'}"
    yield f"username  {login.username}"
    if login.authname is None and login.username.count("@") > 1:
        yield "note      no separator found: quote the string, or the shell takes the backslash away"
    yield ""
    yield f"{'dialect':12} {'protocol':9} {'mechanism':10} sent"
    for dialect, protocol, mechanism in _SITUATIONS:
        sent = _sent(login, dialect, protocol, mechanism)
        yield f"{dialect.value:12} {protocol.value:9} {mechanism.value:10} {sent}"


def _sent(login: Login, dialect: Dialect, protocol: MailProtocol, mechanism: Mechanism) -> str:
    secret = Bearer.of("") if mechanism is Mechanism.XOAUTH2 else Password.of("")
    try:
        attempt = plan_login(login, secret, protocol=protocol, offered={mechanism}, dialect=dialect)
    except ConfigurationError as error:
        return f"refused: {error}"
    if attempt.authorization_identity is not None:
        return f"{attempt.authentication_identity}, to act as {attempt.authorization_identity}"
    return attempt.authentication_identity
