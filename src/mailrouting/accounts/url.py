"""Read the URL of a mailbox (floor 2). No error here quotes the URL: it may hold a password."""

import re
from urllib.parse import unquote

import attrs

from mailrouting.accounts.endpoint import MAILBOX_SCHEMES
from mailrouting.addresses import find_control
from mailrouting.auth import Login, MailProtocol, parse_login
from mailrouting.errors import AccountError, LoginStringError

__all__ = ["MailboxUrl"]

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<user>[^/?#]*)@)?(?P<host>[^/?#@]+)"
    r"(?:/(?P<folder>[^?#]*))?(?:\?(?P<query>[^#]*))?"
)
_FOLDERS = ("archive", "filtered", "quarantined")


@attrs.frozen(kw_only=True)
class MailboxUrl:
    """Hold what the URL of a mailbox says, decoded.

    Attributes:
        protocol: IMAP or POP3.
        host: Scheme, host and port, as `Endpoint.host` takes them.
        login: Who logs in, and whose mailbox is opened.
        folder: The folder to read; empty when the URL has none.
        archive: Where converted mail is moved, or None.
        filtered: Where mail that a rule took out is moved, or None.
        quarantined: Where mail that could not be converted is moved, or None.
    """

    protocol: MailProtocol
    host: str
    login: Login
    folder: str
    archive: str | None
    filtered: str | None
    quarantined: str | None

    @classmethod
    def parse(cls, url: str, *, account_id: str | None = None) -> "MailboxUrl":
        """Read a URL.

        >>> MailboxUrl.parse("imaps://help%40acme.example@imap.acme.example/Shared").folder
        'Shared'

        Raises:
            AccountError: It is no URL of a mailbox, or has a password; never quotes it.
        """
        try:
            return cls._parsed(url)
        except AccountError as error:
            error.account_id = account_id
            raise

    @classmethod
    def _parsed(cls, url: str) -> "MailboxUrl":
        parts = _URL.fullmatch(url)
        if parts is None or find_control(url) is not None:
            raise _error("this is no URL of a mailbox", "url")
        scheme = parts["scheme"].lower()
        if scheme not in MAILBOX_SCHEMES:
            known = ", ".join(MAILBOX_SCHEMES)
            raise _error(f"the URL's scheme is none of {known}", "inbound.protocol")
        folders = _folders(parts["query"] or "")
        return cls(
            protocol=MAILBOX_SCHEMES[scheme],
            host=f"{scheme}://{parts['host']}",
            login=_login(parts["user"] or ""),
            folder=_decoded(parts["folder"] or "", "inbound.folder"),
            archive=folders.get("archive"),
            filtered=folders.get("filtered"),
            quarantined=folders.get("quarantined"),
        )


def _error(message: str, field: str) -> AccountError:
    hint = "Write imaps://user%40domain@host/folder, without a password."
    return AccountError(message, field=field, hint=hint)


def _decoded(text: str, field: str) -> str:
    plain = unquote(text)
    if find_control(plain) is not None or "\ufffd" in plain:
        raise _error(f"the {field} in the URL has a control character or is no UTF-8", field)
    return plain


def _login(user: str) -> Login:
    if ":" in user or ";" in user:
        text = "the URL has a password or a parameter beside the user name"
        raise _error(text, "inbound.login")
    try:
        return parse_login(_decoded(user, "inbound.login"))
    except LoginStringError:
        # Without its cause: that quotes the name.
        error = _error("the URL's user name is missing or is no login string", "inbound.login")
    raise error


def _folders(query: str) -> dict[str, str]:
    folders: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name not in _FOLDERS or name in folders or not value:
            text = "the URL's query may say archive, filtered and quarantined, each once and with a folder"
            raise _error(text, "url")
        folders[name] = _decoded(value, name)
    return folders
