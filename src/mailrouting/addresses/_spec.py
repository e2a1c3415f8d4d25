"""Say what an address is, and fold addresses for comparison."""

import re
import unicodedata

import attrs

from mailrouting.errors import AddressError

__all__ = [
    "LOCAL_PART_OCTETS",
    "AddrSpec",
    "NamedAddress",
    "address_key",
    "domain_key",
    "find_control",
    "find_unsendable",
    "folded",
]

LOCAL_PART_OCTETS = 64  # RFC 5321 §4.5.3.1.1
_DOMAIN_OCTETS = 255  # RFC 5321 §4.5.3.1.2
_ADDR_SPEC_CHARACTERS = LOCAL_PART_OCTETS + 1 + _DOMAIN_OCTETS
_LABEL_OCTETS = 63  # RFC 1035 §2.3.4

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNSENDABLE = re.compile("[\x00\x01\r\n\ud800-\udfff]")
# RFC 5322 §3.2.3 atext, with what RFC 6532 §3.2 adds but C1, line separators and surrogates.
_ATEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a1-\u2027\u202a-\ud7ff\ue000-\U0010ffff]")
_QUOTED = re.compile(r'"(?:[^"\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|\\[ -~])*"')
# A `<` may stand in a display name and in a quoted local part.
_ANGLE_ADDR = re.compile(r'<((?:"(?:[^"\\]|\\.)*"|[^<"]*)@[^<>"@]*)>\Z')
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
_DOMAIN_LITERAL = re.compile(r"\[[!-Z^-~]+\]")
# What nearly every address looks like: in ASCII, neither quoted nor a literal, no label too long.
_PLAIN = re.compile(
    r"((?=[^@]{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*)"
    r"@((?=.{1,255}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    r"(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*)"
)


def find_control(text: str) -> int | None:
    r"""Return the index of the first control character (C0, DEL, C1, U+2028/9), or None.

    >>> find_control("support"), find_control("sup\nport")
    (None, 3)
    """
    found = _CONTROL.search(text)
    return found.start() if found else None


def find_unsendable(text: str) -> int | None:
    r"""Return the index of the first character that no command line carries, or None.

    NUL, SOH (which ends a field of XOAUTH2), CR and LF end or split a command; half a surrogate
    pair has no encoding.

    >>> find_unsendable("Büro"), find_unsendable("hunter2\n")
    (None, 7)
    """
    found = _UNSENDABLE.search(text)
    return found.start() if found else None


def domain_key(domain: str) -> str:
    """Fold a domain for comparison: A-labels, lower case, no final dot.

    Letters are not mapped to others (RFC 5891 §5.3): `faß.example` is not `fass.example`.

    >>> domain_key("BÜCHER.example.") == domain_key("xn--bcher-kva.example")
    True
    """
    if domain.isascii():
        return domain.removesuffix(".").lower()
    return ".".join(_label_key(label) for label in domain.removesuffix(".").split("."))


def _label_key(label: str) -> str:
    text = folded(label)
    if text.isascii():
        return text
    try:
        return f"xn--{text.encode('punycode').decode('ascii')}"
    except UnicodeError:
        return text


def folded(text: str) -> str:
    """Fold letters for comparison, those that are different people's apart."""
    # Not casefold(): it makes one of letters that are different people's, ß and ss.
    return unicodedata.normalize("NFC", text.lower())


def _fail(text: str, position: int, expected: str) -> AddressError:
    found = f"found {text[position]!r}" if position < len(text) else "found its end"
    return AddressError(
        f"not an address: {found} at position {position} of {text!r}, expected {expected}",
        text=text,
        position=position,
        expected=expected,
        hint="Write it as local-part@domain.",
    )


def _local_part_end(text: str) -> int:
    """Return the index behind the local part, or raise."""
    if text.startswith('"'):
        quoted = _QUOTED.match(text)
        if not quoted:
            raise _fail(text, len(text), "a closing quote")
        return quoted.end()
    position = 0
    atom_begins = True
    while position < len(text) and text[position] != "@":
        if text[position] == "." and not atom_begins:
            atom_begins = True
        elif _ATEXT.match(text[position]):
            atom_begins = False
        else:
            raise _fail(text, position, "a letter, a digit or one of !#$%&'*+-/=?^_`{|}~")
        position += 1
    if atom_begins:
        raise _fail(text, position, "a local part")
    return position


def _check_domain(text: str, start: int) -> None:
    domain = text[start:]
    if domain.startswith("["):
        if not _DOMAIN_LITERAL.fullmatch(domain):
            raise _fail(text, start, "a domain literal like [192.0.2.1]")
        return
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise _fail(text, start, "a domain") from error
    if not domain or domain.endswith("."):
        raise _fail(text, len(text), "a domain label")
    if len(ascii_domain) > _DOMAIN_OCTETS:
        raise _fail(text, start, f"a domain of at most {_DOMAIN_OCTETS} octets")
    for label in ascii_domain.split("."):
        if not _LABEL.fullmatch(label) or len(label) > _LABEL_OCTETS:
            raise _fail(text, start, "domain labels of letters, digits and inner hyphens")


def _end_of_local_part(text: str) -> int:
    """Return where the `@` of an addr-spec stands, or raise."""
    plain = _PLAIN.fullmatch(text)
    if plain is not None:
        return plain.end(1)
    if len(text) > _ADDR_SPEC_CHARACTERS:
        raise _fail(text, _ADDR_SPEC_CHARACTERS, "its end")
    control = find_control(text)
    if control is not None:
        raise _fail(text, control, "no control character")
    end = _local_part_end(text)
    if text[end : end + 1] != "@":
        raise _fail(text, end, "'@'")
    if len(text[:end].encode()) > LOCAL_PART_OCTETS:
        raise _fail(text, end, f"a local part of at most {LOCAL_PART_OCTETS} octets")
    _check_domain(text, end + 1)
    return end


@attrs.frozen
class AddrSpec:
    """Hold one addr-spec (RFC 5322 §3.4.1, RFC 6532): valid, as it was written.

    Two are equal when written alike; `key` is what to compare by when the question is whether
    mail arrives at the same place.

    Attributes:
        local: The local part as written, quotes included.
        domain: The domain as written (A-labels or U-labels), or a domain literal.

    Raises:
        AddressError: The two are no addr-spec, or not the two parts of it.
    """

    local: str
    domain: str

    def __attrs_post_init__(self) -> None:
        """Refuse what must not go on the wire, however the value is made."""
        text = str(self)
        if _end_of_local_part(text) != len(self.local):
            raise _fail(text, len(self.local), "the end of the local part")

    @classmethod
    def parse(cls, text: str) -> "AddrSpec":
        """Read an addr-spec: no display name, no comments, no white space around it.

        >>> AddrSpec.parse("sales@example.org").domain
        'example.org'

        Raises:
            AddressError: The text is none; says where and what was expected.
        """
        end = _end_of_local_part(text)
        return cls(text[:end], text[end + 1 :])

    @classmethod
    def try_parse(cls, text: str) -> "AddrSpec | None":
        """Read an addr-spec as `parse` does; None when the text is none."""
        try:
            return cls.parse(text)
        except AddressError:
            return None

    @property
    def key(self) -> str:
        """Fold for comparison: IDNA domain, lower case, needless quotes dropped.

        RFC 5321 lets a server tell cases of a local part apart; no help desk wants that.
        """
        local = _unquoted(self.local)
        return f"{local.lower() if local.isascii() else folded(local)}@{domain_key(self.domain)}"

    @property
    def is_ascii(self) -> bool:
        """Tell whether the local part can be sent without SMTPUTF8 (RFC 6531)."""
        return self.local.isascii()

    def with_detail(self, separator: str, detail: str) -> "AddrSpec":
        """Return this address with a subaddress (RFC 5233).

        >>> str(AddrSpec.parse("help@example.org").with_detail("+", "t1"))
        'help+t1@example.org'

        Raises:
            AddressError: The result is no addr-spec, for instance because it is too long.
        """
        return AddrSpec.parse(f"{self.local}{separator}{detail}@{self.domain}")

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def address_key(text: str) -> str:
    """Fold an address that somebody else wrote, for comparison.

    By `AddrSpec.key`; a text that is no addr-spec is only case-folded and equals nothing else.

    >>> address_key("Jane@BÜCHER.example") == address_key("jane@xn--bcher-kva.example")
    True
    """
    if _PLAIN.fullmatch(text):
        return text.lower()
    address = AddrSpec.try_parse(text)
    return text.casefold() if address is None else address.key


def _unquoted(local: str) -> str:
    if not local.startswith('"'):
        return local
    return re.sub(r"\\(.)", r"\1", local[1:-1])


def _checked_name(_: object, __: object, name: str) -> None:
    control = find_control(name)
    if control is not None:
        raise AddressError(
            f"control character at position {control} of the display name {name!r}",
            text=name,
            position=control,
            expected="printable text",
            hint="Remove the control character.",
        )


@attrs.frozen
class NamedAddress:
    """Hold an address with the name that people see.

    Attributes:
        addr: The addr-spec.
        name: The display name, decoded; empty when there is none. Holds no control character
            (`AddressError`), so it cannot inject a header field.
    """

    addr: AddrSpec
    name: str = attrs.field(default="", validator=_checked_name)

    @classmethod
    def parse(cls, text: str) -> "NamedAddress":
        """Read `addr-spec` or `Name <addr-spec>`, as people type it into a form.

        >>> NamedAddress.parse("Sales <sales@example.org>").name
        'Sales'

        Raises:
            AddressError: There is no valid addr-spec in it, or the name has a control character.
        """
        text = text.strip(" \t")
        if not text.endswith(">"):
            return cls(AddrSpec.parse(text))
        found = _ANGLE_ADDR.search(text)
        if found is None:
            raise _fail(text, len(text), "an address in angle brackets")
        addr = found[1]
        name = text[: found.start()].strip(" \t")
        if len(name) > 1 and name[0] == name[-1] == '"':
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        return cls(AddrSpec.parse(addr), name)

    def __str__(self) -> str:
        if not self.name:
            return str(self.addr)
        quoted = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{self.addr}>'
