"""The stdlib as second opinion: where it reads a mail without defect, we read the same."""

import base64
import email
import email.header
import email.utils
import quopri
import urllib.parse
from email.message import Message as StdlibMessage

from hypothesis import assume, given, settings, strategies as st

from mailrouting.reading import Defect, Message, read

# Letters of a charset, none of which forms UTF-8 with its neighbours.
_LETTERS = {
    "utf-8": "abc xyz 12.,;:!?()<>@\"'éßñžПр日本語😀",
    "iso-8859-1": "abc xyz,éßñÄ",
    "koi8-r": "abc Привет",
    "iso-2022-jp": "abc 日本語",
    "us-ascii": "abc xyz 12.,;:!?()<>@\"'=_-",
}
_WORD = st.text(alphabet="abXY19éßñП日", min_size=1, max_size=12)
_PHRASE = st.lists(_WORD, min_size=1, max_size=8).map(" ".join)
_NAME = st.one_of(
    st.just(""),
    _PHRASE,
    st.sampled_from(["Doe, Jane", 'Jane "J" Doe', "O'Neil (Bob)", "Dr. Häberle", "a@b"]),
)
_LOCAL = st.from_regex(r"[a-z0-9]{1,8}([.+_-][a-z0-9]{1,5}){0,2}", fullmatch=True)
_DOMAIN = st.sampled_from(["example.org", "mail.example.com", "x.test"])
_ADDRESS = st.builds("{}@{}".format, _LOCAL, _DOMAIN)
_ADDRESSES = st.lists(st.tuples(_NAME, _ADDRESS), min_size=1, max_size=4)
_ENCODINGS = st.sampled_from(["base64", "quoted-printable"])
_FILE_NAME = st.one_of(
    _PHRASE.map(lambda text: text + ".txt"),
    st.sampled_from(
        ["a;b.txt", "a=b.pdf", "plan (1).txt", "x" * 90 + ".txt", "日本語" * 20 + ".pdf"]
    ),
)


@st.composite
def _texts(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a text and a charset that holds it."""
    charset = draw(st.sampled_from(sorted(_LETTERS)))
    lines = draw(
        st.lists(st.text(alphabet=_LETTERS[charset], max_size=100), min_size=1, max_size=5)
    )
    # A blank text is passed over for the other form, so there is always a letter in it.
    return "a" + "\n".join(lines) + "\n", charset


def _parameter(name: str, value: str) -> bytes:
    """Write a parameter quoted, or by RFC 2231."""
    if value.isascii():
        return f'{name}="{value}"'.encode()
    return f"{name}*=utf-8''{urllib.parse.quote(value, safe='')}".encode()


def _part(fields: list[bytes], content: bytes, encoding: str) -> bytes:
    """Write one part with its transfer encoding."""
    encoded = base64.encodebytes(content) if encoding == "base64" else quopri.encodestring(content)
    head = b"\r\n".join([*fields, b"Content-Transfer-Encoding: " + encoding.encode(), b"", b""])
    return head + encoded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _multipart(subtype: bytes, parts: list[bytes], boundary: bytes) -> bytes:
    """Write a multipart; one part alone stays as it is."""
    if len(parts) == 1:
        return parts[0]
    head = b"Content-Type: multipart/" + subtype + b'; boundary="' + boundary + b'"\r\n\r\n'
    written = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return head + written + b"--" + boundary + b"--\r\n"


@st.composite
def _text_parts(draw: st.DrawFn, subtype: str) -> bytes:
    text, charset = draw(_texts())
    content = text.replace("\n", "\r\n").encode(charset)
    field = f"Content-Type: text/{subtype}; charset={charset}".encode()
    return _part([field], content, draw(_ENCODINGS))


@st.composite
def _files(draw: st.DrawFn) -> bytes:
    fields = [
        b"Content-Type: application/octet-stream",
        b"Content-Disposition: attachment; " + _parameter("filename", draw(_FILE_NAME)),
    ]
    return _part(fields, draw(st.binary(max_size=200)), "base64")


@st.composite
def _mails(draw: st.DrawFn) -> bytes:
    """Draw a well-formed mail: text, perhaps HTML beside it, perhaps files, perhaps a mail in it."""
    bodies = [draw(_text_parts("plain"))]
    if draw(st.booleans()):
        bodies.append(draw(_text_parts("html")))
    parts = [_multipart(b"alternative", bodies, b"=_inner"), *draw(st.lists(_files(), max_size=3))]
    if draw(st.booleans()):
        inner = _subject(draw(_PHRASE)) + draw(_text_parts("plain"))
        parts.append(b"Content-Type: message/rfc822\r\n\r\n" + inner)
    fields = [_subject(draw(_PHRASE))]
    fields += [
        name
        + b": "
        + ", ".join(email.utils.formataddr(one) for one in draw(_ADDRESSES)).encode()
        + b"\r\n"
        for name in (b"From", b"To", b"Cc")
    ]
    return b"".join([*fields, b"MIME-Version: 1.0\r\n", _multipart(b"mixed", parts, b"=_outer")])


def _subject(text: str) -> bytes:
    header = email.header.Header(text, "us-ascii" if text.isascii() else "utf-8")
    return b"Subject: " + header.encode(linesep="\r\n").encode() + b"\r\n"


def _decoded(value: str) -> str:
    return str(email.header.make_header(email.header.decode_header(value)))


def _people(message: StdlibMessage, name: str) -> list[tuple[str, str]]:
    unfolded = [value.replace("\r\n", "") for value in message.get_all(name, [])]
    return [(_decoded(shown), address) for shown, address in email.utils.getaddresses(unfolded)]


def _ours(message: Message, name: str) -> list[tuple[str, str]]:
    found = message.from_all if name == "From" else getattr(message, name.lower())
    return [(one.name, one.address) for one in found]


def _text(part: StdlibMessage) -> str:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode(part.get_content_charset("us-ascii")).replace("\r\n", "\n")


def _leaves(message: StdlibMessage) -> list[StdlibMessage]:
    """Return the parts that are no multipart; a nested mail is one part."""
    if message.get_content_maintype() != "multipart":
        return [message]
    children = message.get_payload()
    assert isinstance(children, list)
    return [leaf for child in children for leaf in _leaves(child)]


def _file_name(part: StdlibMessage) -> str | None:
    name = part.get_filename()
    return None if name is None else _decoded(name)


@settings(max_examples=200, deadline=None)
@given(_mails())
def test_well_formed_mail_is_read_as_the_stdlib_reads_it(raw):
    """Same subject, addresses, bodies, file names and attachment bytes."""
    theirs = email.message_from_bytes(raw)
    assume(not any(part.defects for part in theirs.walk()))
    ours = read(raw)
    assert set(ours.defects) <= {Defect.AMBIGUOUS_FROM, Defect.ADDRESS_IN_NAME}
    assert ours.subject == _decoded(theirs["Subject"].replace("\r\n", ""))
    for name in ("From", "To", "Cc"):
        assert _ours(ours, name) == _people(theirs, name)
    bodies = {"text/plain": ours.text, "text/html": ours.html}
    files = iter(ours.attachments)
    for part in _leaves(theirs):
        kind = part.get_content_type()
        if kind in bodies and not part.get_filename():
            assert bodies[kind] == _text(part)
            continue
        attachment = next(files)
        assert attachment.filename == _file_name(part)
        if kind == "message/rfc822":
            (inner,) = part.get_payload()
            assert read(attachment.content).subject == _decoded(inner["Subject"])
        else:
            assert attachment.content == part.get_payload(decode=True)
    assert list(files) == []
