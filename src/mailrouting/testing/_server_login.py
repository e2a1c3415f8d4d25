"""Log in to the fake mail server by what a client sent, for every face with a socket."""

import contextlib
import re

from mailrouting.auth import parse_login
from mailrouting.errors import LoginStringError
from mailrouting.testing._server_state import MailboxState, ServerState

__all__ = ["log_in_by_name", "log_in_by_plain", "log_in_by_token"]

_PLAIN_FIELDS = 3


def log_in_by_name(
    state: ServerState, session: int, verb: str, name: str, password: str
) -> MailboxState:
    """Take a name as it is typed: alone, joined, or with a master user.

    Raises:
        Refused: The login is refused.
    """
    username, _, authname = name.partition("*")
    if not authname and name not in state.mailboxes:
        with contextlib.suppress(LoginStringError):
            login = parse_login(name)
            username, authname = login.username, login.authname or ""
    return state.log_in(
        session, verb, name, username=username, authname=authname or None, password=password
    )


def log_in_by_plain(state: ServerState, session: int, verb: str, response: str) -> MailboxState:
    """Take a response of SASL PLAIN (RFC 4616).

    Raises:
        ValueError: It is none.
        Refused: The login is refused.
    """
    fields = response.split("\0")
    if len(fields) != _PLAIN_FIELDS:
        raise ValueError("no response of PLAIN")
    authorize, identity, password = fields
    return state.log_in(
        session,
        verb,
        "PLAIN",
        identity,
        authorize,
        username=authorize or identity,
        authname=identity if authorize else None,
        password=password,
    )


def log_in_by_token(
    state: ServerState, session: int, verb: str, mechanism: str, response: str
) -> MailboxState:
    """Take a token: it says who authenticates, `user` whose mailbox is opened.

    Raises:
        ValueError: It is no response of XOAUTH2 or OAUTHBEARER.
        Refused: The login is refused.
    """
    user = re.match(r"user=([^\x01]+)\x01|n,a=([^,]+),\x01", response)
    token = re.search(r"\x01auth=Bearer ([^\x01]+)\x01", response)
    if user is None or token is None:
        raise ValueError("no response with a token")
    username = user[1] or user[2].replace("=2C", ",").replace("=3D", "=")
    with state.lock:
        holders = [
            mailbox.username for mailbox in state.mailboxes.values() if mailbox.password == token[1]
        ]
    authname = None if username in holders or not holders else holders[0]
    return state.log_in(
        session,
        verb,
        mechanism,
        username,
        username=username,
        authname=authname,
        password=token[1],
    )
