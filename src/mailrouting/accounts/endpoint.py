"""Say where a server listens, as people type it, and what that means (floor 2).

A host may carry a scheme and a port. Ports imply a TLS mode. What contradicts itself is a
problem, not a guess; and nothing but the word `CLEARTEXT` (or `plain://`) turns TLS off.
"""

import enum
import functools
import ipaddress
import re
from collections.abc import Iterator

import attrs

from mailrouting.addresses import domain_key
from mailrouting.auth import MailProtocol
from mailrouting.errors import AccountError

__all__ = ["MAILBOX_SCHEMES", "Endpoint", "Problem", "ResolvedEndpoint", "Severity", "TlsMode"]

_HIGHEST_PORT = 65535
_HOST_OCTETS = 253  # RFC 1035 §2.3.4, without the length octets
_TYPED = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?"
    r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<name>[^\s:/@\[\]?#]+))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")


class Severity(enum.Enum):
    """Say how bad a problem is."""

    ERROR = "error"
    """It cannot work, or mail would be lost or sent wrongly: do not save it."""
    WARNING = "warning"
    """It works, perhaps not as meant."""


@attrs.frozen(kw_only=True)
class Problem:
    """Say what is wrong with one setting, so that a form can show it beside its field.

    Attributes:
        field: Dotted path of the field, for instance `inbound.endpoint.port`.
        code: Stable name of the kind of problem, for a host's own wording.
        severity: Whether it may be saved.
        message: One or two sentences for the operator: what was found, what is expected.
    """

    field: str
    code: str
    severity: Severity
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class TlsMode(enum.Enum):
    """Say when TLS begins on a connection."""

    IMPLICIT = "implicit"
    """With the connection (RFC 8314 §3.3)."""
    STARTTLS = "starttls"
    """By a command, before anything else is said; refused by the server, the session ends."""
    CLEARTEXT = "cleartext"
    """Never. Passwords and mail can be read on the way."""


@attrs.frozen(kw_only=True)
class ResolvedEndpoint:
    """Hold what to connect to.

    Attributes:
        host: Host name in A-labels and lower case, or an IP address without brackets.
        port: From 1 to 65535.
        tls: When TLS begins.
    """

    host: str
    port: int
    tls: TlsMode

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@attrs.frozen
class _Scheme:
    protocol: MailProtocol | None
    tls: TlsMode | None


_SCHEMES = {
    "": _Scheme(None, None),
    "ssl": _Scheme(None, TlsMode.IMPLICIT),
    # People write tls:// for both modes: the port decides.
    "tls": _Scheme(None, None),
    "starttls": _Scheme(None, TlsMode.STARTTLS),
    "plain": _Scheme(None, TlsMode.CLEARTEXT),
    "imaps": _Scheme(MailProtocol.IMAP, TlsMode.IMPLICIT),
    "imap": _Scheme(MailProtocol.IMAP, None),
    "pop3s": _Scheme(MailProtocol.POP3, TlsMode.IMPLICIT),
    "pops": _Scheme(MailProtocol.POP3, TlsMode.IMPLICIT),
    "pop3": _Scheme(MailProtocol.POP3, None),
    "pop": _Scheme(MailProtocol.POP3, None),
    "smtps": _Scheme(MailProtocol.SMTP, TlsMode.IMPLICIT),
    "submissions": _Scheme(MailProtocol.SMTP, TlsMode.IMPLICIT),
    "smtp": _Scheme(MailProtocol.SMTP, None),
    "submission": _Scheme(MailProtocol.SMTP, None),
}
MAILBOX_SCHEMES = {
    name: scheme.protocol
    for name, scheme in _SCHEMES.items()
    if scheme.protocol in (MailProtocol.IMAP, MailProtocol.POP3)
}
"""The schemes of a mailbox's URL, and the protocol that each means."""
_PORTS = {
    993: (MailProtocol.IMAP, TlsMode.IMPLICIT),
    995: (MailProtocol.POP3, TlsMode.IMPLICIT),
    465: (MailProtocol.SMTP, TlsMode.IMPLICIT),
    143: (MailProtocol.IMAP, TlsMode.STARTTLS),
    110: (MailProtocol.POP3, TlsMode.STARTTLS),
    587: (MailProtocol.SMTP, TlsMode.STARTTLS),
    25: (MailProtocol.SMTP, TlsMode.STARTTLS),
}
_DEFAULT_PORTS = {
    (MailProtocol.IMAP, TlsMode.IMPLICIT): 993,
    (MailProtocol.IMAP, TlsMode.STARTTLS): 143,
    (MailProtocol.IMAP, TlsMode.CLEARTEXT): 143,
    (MailProtocol.POP3, TlsMode.IMPLICIT): 995,
    (MailProtocol.POP3, TlsMode.STARTTLS): 110,
    (MailProtocol.POP3, TlsMode.CLEARTEXT): 110,
    (MailProtocol.SMTP, TlsMode.IMPLICIT): 465,
    (MailProtocol.SMTP, TlsMode.STARTTLS): 587,
    (MailProtocol.SMTP, TlsMode.CLEARTEXT): 25,
}


@attrs.frozen
class _Typed:
    """Hold what the host field says, taken apart."""

    scheme: str
    host: str
    port: int | None


def _host(text: str) -> str | None:
    """Return the host as it is compared and connected to, or None when it is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        name = domain_key(text)
    return name if len(name) <= _HOST_OCTETS and _HOST_NAME.fullmatch(name) else None


@functools.lru_cache(maxsize=512)
def _take_apart(text: str) -> _Typed | None:
    text = text.strip(" \t")
    if text.count(":") > 1 and (address := _host(text)):
        return _Typed("", address, None)
    found = _TYPED.fullmatch(text)
    if found is None:
        return None
    host = _host(found["literal"] or found["name"])
    if host is None or (found["literal"] and ":" not in host):
        return None
    return _Typed(
        (found["scheme"] or "").lower(), host, int(found["port"]) if found["port"] else None
    )


def _error(field: str, code: str, message: str) -> Problem:
    return Problem(field=f"endpoint.{field}", code=code, severity=Severity.ERROR, message=message)


@attrs.frozen
class Endpoint:
    """Hold where a server listens, as it was typed.

    Attributes:
        host: A host name or an IP address; a scheme may stand before it (`ssl://`, `tls://`,
            `starttls://`, `plain://`, `imaps://`, `imap://`, `pop3s://`, `smtps://` ...) and a
            port behind it.
        port: The port, or None for the one that the rest implies.
        tls: When TLS begins, or None for what the rest implies.
    """

    host: str
    port: int | None = None
    tls: TlsMode | None = None

    def resolve(self, protocol: MailProtocol) -> ResolvedEndpoint:
        """Decide host, port and TLS mode.

        Ports 465, 993 and 995 mean implicit TLS; 25, 110, 143 and 587 STARTTLS. A bare
        `imap://`, `pop3://` or `smtp://` means STARTTLS on its port. Nothing given is implicit TLS.

        >>> str(Endpoint("imaps://mail.example.org").resolve(MailProtocol.IMAP))
        'mail.example.org:993'
        >>> Endpoint("mail.example.org", 587).resolve(MailProtocol.SMTP).tls
        <TlsMode.STARTTLS: 'starttls'>

        Raises:
            AccountError: It contradicts itself (`problems`); names the field.
        """
        for problem in self.problems(protocol):
            raise AccountError(
                problem.message, field=problem.field, hint="Correct the server's address."
            )
        typed = _take_apart(self.host)
        assert typed is not None
        port = self.port if self.port is not None else typed.port
        tls = self._named_tls(typed)
        if tls is None and port is not None:
            tls = _PORTS[port][1] if port in _PORTS else TlsMode.IMPLICIT
        if tls is None:
            bare = _SCHEMES[typed.scheme].protocol is not None
            tls = TlsMode.STARTTLS if bare else TlsMode.IMPLICIT
        if port is None:
            port = _DEFAULT_PORTS[protocol, tls]
        return ResolvedEndpoint(host=typed.host, port=port, tls=tls)

    def problems(self, protocol: MailProtocol) -> tuple[Problem, ...]:
        """Return all contradictions; `field` is `endpoint.host`, `endpoint.port`, `endpoint.tls`."""
        typed = _take_apart(self.host)
        if typed is None:
            # Not quoted in the message: what stands before an @ may be a password.
            return (
                _error(
                    "host",
                    "host-unreadable",
                    "This is no host name or IP address, with a scheme before it and a port "
                    "behind it if need be; a login has its own field.",
                ),
            )
        if typed.scheme not in _SCHEMES:
            known = ", ".join(f"{name}://" for name in _SCHEMES if name)
            return (
                _error(
                    "host",
                    "scheme-unknown",
                    f"The scheme {typed.scheme}:// is unknown; known are {known}.",
                ),
            )
        return (*self._port_problems(typed, protocol), *self._tls_problems(typed, protocol))

    def _named_tls(self, typed: _Typed) -> TlsMode | None:
        return self.tls or _SCHEMES[typed.scheme].tls

    def _port_problems(self, typed: _Typed, protocol: MailProtocol) -> Iterator[Problem]:
        for field, port in (("host", typed.port), ("port", self.port)):
            if port is not None and not 1 <= port <= _HIGHEST_PORT:
                yield _error(
                    field, "port-range", f"Port {port} is not between 1 and {_HIGHEST_PORT}."
                )
        if self.port is not None and typed.port is not None and self.port != typed.port:
            yield _error(
                "port",
                "port-twice",
                f"The host says port {typed.port}, the port field says {self.port}; say it once.",
            )
        port = self.port if self.port is not None else typed.port
        if port in _PORTS and _PORTS[port][0] is not protocol:
            yield _error(
                "port",
                "port-protocol",
                f"Port {port} is for {_PORTS[port][0].name}, but this is {protocol.name}.",
            )

    def _tls_problems(self, typed: _Typed, protocol: MailProtocol) -> Iterator[Problem]:
        scheme = _SCHEMES[typed.scheme]
        port = self.port if self.port is not None else typed.port
        if scheme.protocol not in {None, protocol}:
            yield _error(
                "host",
                "scheme-protocol",
                f"{typed.scheme}:// is not for {protocol.name}; leave it out, or change the "
                "protocol.",
            )
        contradicts = scheme.tls is not None and scheme.tls is not self.tls
        if self.tls is not None and (
            contradicts or (typed.scheme == "tls" and self.tls is TlsMode.CLEARTEXT)
        ):
            yield _error(
                "tls",
                "tls-scheme",
                f"{typed.scheme}:// contradicts the TLS mode {self.tls.name}; say one of them.",
            )
        named = self._named_tls(typed)
        if named is not None and port in _PORTS and not _fits(named, _PORTS[port][1]):
            yield _error(
                "tls",
                "tls-port",
                f"Port {port} means {_PORTS[port][1].name}, but {named.name} is asked for.",
            )
        if typed.scheme == "tls" and named is None and port is not None and port not in _PORTS:
            yield _error(
                "tls",
                "tls-ambiguous",
                f"tls:// with port {port} may mean IMPLICIT or STARTTLS; say which.",
            )


def _fits(named: TlsMode, of_port: TlsMode) -> bool:
    return named is of_port or (named is TlsMode.CLEARTEXT and of_port is TlsMode.STARTTLS)
