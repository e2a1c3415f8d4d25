"""Open a session for an account: the place where settings, secrets and sockets meet (floor 7)."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from mailrouting.accounts import EmailAccount
from mailrouting.auth import Credential, MailProtocol, Password
from mailrouting.errors import ConfigurationError
from mailrouting.session import Credentials, Direction, MailSession, SessionOpener
from mailrouting.wire.guard import own_inbound
from mailrouting.wire.imap import ImapSession, Timeouts
from mailrouting.wire.pop3 import Pop3Session
from mailrouting.wire.tls import tls_context

__all__ = ["StaticCredentials", "Timeouts", "connect", "opener", "tls_context"]


class StaticCredentials:
    """Hold secrets that the host has at hand anyway; a `Credentials`.

    >>> secrets = StaticCredentials({"support": "hunter2"})
    >>> secrets.get("support", Direction.INBOUND)
    Password(secret=Secret('********'))
    >>> secrets
    <StaticCredentials for support>

    Args:
        secrets: By account id: a password, or a `Password` or `Bearer`; the same for both
            directions.
    """

    def __init__(self, secrets: Mapping[str, str | Credential]) -> None:
        self._secrets: dict[str, Credential] = {
            account_id: Password.of(secret) if isinstance(secret, str) else secret
            for account_id, secret in secrets.items()
        }

    def __repr__(self) -> str:
        return f"<StaticCredentials for {', '.join(sorted(self._secrets)) or 'nobody'}>"

    def get(self, account_id: str, direction: Direction) -> Credential:
        """Return the account's secret.

        Raises:
            ConfigurationError: There is none.
        """
        if account_id not in self._secrets:
            raise ConfigurationError(
                f"there is no {direction.value} secret for account {account_id!r}",
                hint="Give StaticCredentials one under this account id.",
            )
        return self._secrets[account_id]


def connect(
    account: EmailAccount,
    credentials: Credentials,
    *,
    tls: ssl.SSLContext | None = None,
    timeouts: Timeouts | None = None,
    scratch: Path | None = None,
) -> MailSession:
    """Open the account's mailbox.

    One attempt with one identity: after a refusal nothing else is tried, because that locks
    logins out. TLS is never weakened; plain text only where the account says `CLEARTEXT`.

    Args:
        account: What to open; `enabled` is the caller's question.
        credentials: Asked once for the secret.
        tls: A shared context from `tls_context`; by default one is made for this call.
        timeouts: How long to wait for the server.
        scratch: Where mails over 1 MiB are kept while they are read, in files without a name;
            by default the system's folder for such files.

    Raises:
        ConfigurationError: The account has no mailbox of its own, contradicts itself or has no
            secret, or the server offers nothing that can say what its login says.
        ConnectError: The server cannot be reached, or puts the login off.
        TlsError: TLS cannot be established or trusted.
        AuthenticationError: The server refused the login.
        PeerProtocolError: The server does not speak the protocol.
    """
    inbound = own_inbound(account)
    secret = credentials.get(account.id, Direction.INBOUND)
    context = tls or tls_context()
    if inbound.protocol is MailProtocol.POP3:
        return Pop3Session.connect(
            inbound,
            secret,
            tls=context,
            timeouts=timeouts,
            account_id=account.id,
            scratch=scratch,
        )
    return ImapSession.connect(
        inbound,
        secret,
        tls=context,
        timeouts=timeouts,
        account_id=account.id,
        scratch=scratch,
    )


def opener(
    credentials: Credentials,
    *,
    tls: ssl.SSLContext | None = None,
    timeouts: Timeouts | None = None,
    scratch: Path | None = None,
) -> SessionOpener:
    """Return what `mailrouting.fetch` takes to open sessions: `connect` with these settings.

    Args:
        credentials: Asked at each opening.
        tls: Shared by all sessions; by default one context is made here.
        timeouts: How long to wait for servers.
        scratch: As for `connect`.
    """
    context = tls or tls_context()

    def open_session(account: EmailAccount) -> MailSession:
        return connect(account, credentials, tls=context, timeouts=timeouts, scratch=scratch)

    return open_session
