"""Read Content-Type and Content-Disposition: a word and its parameters (RFC 2045 §5.1, RFC 2231).

Values are kept as latin-1 text, that is as bytes, until their charset is known.
"""

import re
import urllib.parse

import attrs

from mailrouting.reading.charsets import codec_for, decode
from mailrouting.reading.headers import clean, decode_words, raw_text

__all__ = ["MediaType", "Parameters", "parse_media_type", "parse_parameters"]

# `type/subtype` and one parameter, of which nothing needs more than to be cut out.
_PLAIN_TYPE = re.compile(
    r"""([A-Za-z]++)/([A-Za-z0-9.+-]++);[ \t]*+([A-Za-z-]++)=(?:"([!#-:<-\[\]-~]++)"|([!#-'*-:<-~]++))"""
)
_PLAIN_PARAMETER = re.compile(r"""\s*+([^\s=;"]++)=(?:"([^"]*+)"|([^\s"()]++))\s*+""")
_SEPARATORS = re.compile(r"[;\s]*+")
_NAME = re.compile(r"([^\s=;\"]++)\s*+=\s*+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_QUOTED_PAIR = re.compile(r'\\(["\\])')
_SEGMENT = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*?)")
_TYPE = re.compile(r"[^\s;/\"()<>]+/[^\s;/\"()<>]+")


@attrs.frozen
class Parameters:
    """Hold the parameters of one field.

    Attributes:
        values: Name in lower case (for RFC 2231 with its asterisks) and value, in order.
    """

    values: tuple[tuple[str, str], ...] = ()

    def token(self, name: str) -> str:
        """Return the first plain value, or an empty text."""
        for found, value in self.values:
            if found == name:
                return value
        return ""

    def text(self, name: str) -> tuple[str | None, bool]:
        """Return a value decoded by RFC 2231, else RFC 2047, else as raw 8-bit text.

        The extended form wins over the plain one (RFC 6266 §4.3), the first over a later one.

        Returns:
            The text, or None when there is no such parameter; and whether there are plain values
            that contradict each other.
        """
        for found, _ in self.values:
            if found.startswith(name):
                break
        else:
            return None, False
        plain = [value for found, value in self.values if found == name]
        extended = self._extended(name)
        texts = [clean(decode_words(raw_text(value.encode("latin-1")))) for value in plain]
        conflict = len(set(texts)) > 1
        if extended is not None:
            return extended, conflict
        return (texts[0] if texts else None), conflict

    def _extended(self, name: str) -> str | None:
        segments: dict[int, tuple[str, bool]] = {}
        for found, value in self.values:
            match = _SEGMENT.fullmatch(found) if "*" in found else None
            if match and match[1] == name:
                segments.setdefault(int(match[2] or 0), (value, match[3] == "*"))
        if not segments:
            return None
        charset = ""
        data = b""
        for index in sorted(segments):
            value, is_encoded = segments[index]
            if is_encoded and not charset and value.count("'") >= 2:  # noqa: PLR2004
                charset, _, value = value.split("'", 2)
            data += urllib.parse.unquote_to_bytes(value) if is_encoded else value.encode("latin-1")
        return clean(decode_words(decode(data, charset if codec_for(charset) else None)))


@attrs.frozen(kw_only=True)
class MediaType:
    """Hold a Content-Type.

    Attributes:
        main: The type in lower case.
        sub: The subtype in lower case.
        parameters: What follows.
        full: `type/subtype`.
    """

    main: str = "application"
    sub: str = "octet-stream"
    parameters: Parameters = Parameters()
    full: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Join the two, which are asked for many times, once."""
        object.__setattr__(self, "full", f"{self.main}/{self.sub}")

    @property
    def boundary(self) -> bytes:
        """Return the boundary of a multipart, or nothing."""
        return self.parameters.token("boundary").rstrip().encode("latin-1")


def parse_parameters(value: bytes) -> tuple[str, Parameters]:
    """Return what stands before the first parameter, in lower case, and the parameters."""
    text = value.decode("latin-1")
    return _plain_parameters(text) or _any_parameters(text)


def _plain_parameters(text: str) -> tuple[str, Parameters] | None:
    """Read a field without comments, quoted pairs and quoted semicolons; None for any other."""
    first, *pieces = text.split(";")
    if "=" in first or "\\" in text:
        return None
    found: list[tuple[str, str]] = []
    for piece in pieces:
        match = _PLAIN_PARAMETER.fullmatch(piece)
        if match is None:
            return None
        name, quoted, bare = match.groups()
        found.append((name.lower(), bare if quoted is None else quoted))
    return first.strip().lower(), Parameters(tuple(found))


def _any_parameters(text: str) -> tuple[str, Parameters]:
    first, semicolon, _ = text.partition(";")
    if "=" in first:
        # `text/plain charset=utf-8`, or parameters alone
        head = re.match(r"[^\s=;]*(?=\s|$)", first)
        position = head.end() if head else 0
        first = first[:position]
    else:
        position = len(first) + len(semicolon)
    found: list[tuple[str, str]] = []
    while (position := _behind_separators(text, position)) < len(text):
        match = _NAME.match(text, position)
        start = match.end() if match else position
        quoted = _QUOTED.match(text, start) if match else None
        end = text.find(";", quoted.end() if quoted else start)
        end = len(text) if end < 0 else end
        if match:
            inner = _unescaped(quoted[1]) if quoted else _plain(text[start:end])
            found.append((match[1].lower(), inner))
        position = end
    return first.strip().lower(), Parameters(tuple(found))


def _behind_separators(text: str, position: int) -> int:
    separators = _SEPARATORS.match(text, position)
    return separators.end() if separators else position


def _unescaped(value: str) -> str:
    # A backslash before anything else is a path of Windows, not a quoted pair.
    return _QUOTED_PAIR.sub(r"\1", value)


def _plain(value: str) -> str:
    """Return an unquoted value without a comment behind it (RFC 2045 §5.1)."""
    value = value.strip()
    if value.endswith(")") and " (" in value:
        value = value[: value.rindex(" (")].rstrip()
    return value.strip('"')


def parse_media_type(value: bytes | None, *, default: str = "text/plain") -> MediaType:
    """Read a Content-Type; what is none is `default` (RFC 2045 §5.2)."""
    plain = _PLAIN_TYPE.fullmatch(value.decode("latin-1")) if value else None
    if plain:
        main, sub, name, quoted, bare = plain.groups()
        return MediaType(
            main=main.lower(),
            sub=sub.lower(),
            parameters=Parameters(((name.lower(), quoted or bare),)),
        )
    main, _, sub = default.partition("/")
    if value is None:
        return MediaType(main=main, sub=sub)
    head, parameters = parse_parameters(value)
    found = _TYPE.match(head)
    if found:
        main, _, sub = found.group().partition("/")
    elif head == "multipart":
        main, sub = "multipart", "mixed"
    return MediaType(main=main, sub=sub, parameters=parameters)
