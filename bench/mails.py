"""Generate the mail that the benchmark reads: the same bytes on every machine, from one seed."""

import base64
import binascii
import random

__all__ = ["large", "medium", "small"]

SEED = 20260302
_WORDS = {
    "utf-8": "the printer déjà vu on floor two größer und 日本語 again please look at invoice naïve",
    "iso-8859-1": "le dossier été reçu über die Straße señor mañana with the usual words between them",
    "windows-1251": "принтер снова горит на втором этаже please help us with the next invoice",
    "shift_jis": "プリンタ が 燃え て い ます please look at the invoice again",
    "us-ascii": "the printer on floor two burns again and nobody wants to look at the invoice today",
}
_NAMES = ("Ann Lee", "José García", "Jürgen Groß", "Мария Иванова", "山田 太郎", '"Lee, Ann"')
_QUOTED_PRINTABLE, _BASE64, _EIGHT_BIT = "quoted-printable", "base64", "8bit"


def small(count: int) -> list[bytes]:
    """Return mails of about 5 KB: text and HTML in many character sets, many of them replies."""
    chance = random.Random(SEED)
    return [_mail(chance, number, _alternative(chance, 1100)) for number in range(count)]


def medium(count: int) -> list[bytes]:
    """Return mails of about 60 KB: as the small ones, with one attachment."""
    chance = random.Random(SEED + 1)
    return [
        _mail(chance, number, _mixed(chance, 1300, chance.randint(36_000, 46_000)))
        for number in range(count)
    ]


def large() -> bytes:
    """Return one mail with an attachment of 14.6 MB: 20 MB on the wire."""
    chance = random.Random(SEED + 2)
    return _mail(chance, 0, _mixed(chance, 1300, 14_600_000))


def _mail(chance: random.Random, number: int, body: bytes) -> bytes:
    name = chance.choice(_NAMES)
    subject = f"[#{1000 + number}] {_sentence(chance, chance.choice(list(_WORDS)), 40)}"
    thread = [f"<{chance.getrandbits(64):x}@mail.example.com>" for _ in range(chance.randint(0, 4))]
    fields = [
        "Return-Path: <ann@example.org>",
        "Delivered-To: help@example.com",
        *(
            f"Received: from mx{hop}.example.net (mx{hop}.example.net [192.0.2.{hop}])\r\n"
            f"\tby mx{hop + 1}.example.net with ESMTPS id {chance.getrandbits(64):x}\r\n"
            f"\tfor <help@example.com>; Mon, 2 Mar 2026 09:15:{hop:02} +0100"
            for hop in range(1, 4)
        ),
        (
            "Authentication-Results: mx.example.com; spf=pass smtp.mailfrom=ann@example.org;\r\n"
            "\tdkim=pass header.d=example.org; dmarc=pass header.from=example.org"
        ),
        "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s1; h=from:to:subject;\r\n\tb="
        + base64.b64encode(chance.randbytes(256)).decode(),
        f"From: {_phrase(name)} <ann{number}@example.org>",
        f"To: Help Desk <help@example.com>, {_phrase(chance.choice(_NAMES))} <b@example.net>",
        f"Cc: {_phrase(chance.choice(_NAMES))} <c{number}@example.org>, d@example.org",
        f"Subject: {_phrase(subject)}",
        f"Message-ID: <{chance.getrandbits(96):x}@example.org>",
        *([f"In-Reply-To: {thread[-1]}", "References: " + "\r\n ".join(thread)] if thread else []),
        "Date: Mon, 2 Mar 2026 09:15:00 +0100",
        "MIME-Version: 1.0",
        "X-Mailer: Some Mailer 12.3",
        "Importance: normal",
        "",
    ]
    return "\r\n".join(fields).encode("ascii") + body


def _phrase(text: str) -> str:
    """Return what may stand in a header field: encoded words where it must be (RFC 2047)."""
    if text.isascii():
        return text
    words = [text[start : start + 12] for start in range(0, len(text), 12)]
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(one.encode()).decode()}?=" for one in words)


def _sentence(chance: random.Random, charset: str, length: int) -> str:
    words = _WORDS[charset].split(" ")
    text = ""
    while len(text) < length:
        text += chance.choice(words) + " "
    return text.strip()


def _alternative(chance: random.Random, length: int) -> bytes:
    charset = chance.choice(list(_WORDS))
    lines = [_sentence(chance, charset, 64) for _ in range(max(1, length // 66))]
    middle = len(lines) // 2
    quoted = ["On Mon, 2 Mar 2026 at 09:00, Help Desk <help@example.com> wrote:"]
    quoted += [f"> {line}" for line in lines[middle:]]
    plain = "\n".join([*lines[:middle], "", *quoted, "", "-- ", "Ann"])
    page = (
        "<html><head><style>p { margin: 0 }</style></head><body>"
        + "".join(f"<p>{line}<br></p>\n" for line in lines[:middle])
        + '<div class="gmail_quote">On Monday Help wrote:<blockquote>'
        + "".join(f"<div>{line}</div>\n" for line in lines[middle:])
        + "</blockquote></div></body></html>"
    )
    mark = f"=_alt_{chance.getrandbits(64):x}"
    return (
        f'Content-Type: multipart/alternative; boundary="{mark}"\r\n\r\n--{mark}\r\n'.encode()
        + _text(chance, "plain", charset, plain)
        + f"\r\n--{mark}\r\n".encode()
        + _text(chance, "html", charset, page)
        + f"\r\n--{mark}--\r\n".encode()
    )


def _text(chance: random.Random, subtype: str, charset: str, text: str) -> bytes:
    encoding = chance.choice((_QUOTED_PRINTABLE, _QUOTED_PRINTABLE, _BASE64, _EIGHT_BIT))
    data = text.encode(charset, "replace").replace(b"\n", b"\r\n")
    if encoding == _BASE64:
        data = _lines(data)
    elif encoding == _QUOTED_PRINTABLE:
        data = binascii.b2a_qp(data)
    head = (
        f"Content-Type: text/{subtype}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}"
    )
    return head.encode() + b"\r\n\r\n" + data


def _mixed(chance: random.Random, length: int, size: int) -> bytes:
    mark = f"=_mix_{chance.getrandbits(64):x}"
    return (
        f'Content-Type: multipart/mixed; boundary="{mark}"\r\n\r\n--{mark}\r\n'.encode()
        + _alternative(chance, length)
        + f"\r\n--{mark}\r\n".encode()
        + b'Content-Type: application/pdf; name="invoice.pdf"\r\n'
        + b'Content-Disposition: attachment; filename="invoice.pdf"\r\n'
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + _lines(chance.randbytes(size))
        + f"\r\n--{mark}--\r\n".encode()
    )


def _lines(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")
