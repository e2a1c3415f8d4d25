"""Helpers made of extras: they help, are bounded, and say when they are missing."""

import struct
import sys

import pytest

from mailrouting.errors import ConfigurationError
from mailrouting.integrations.reading_helpers import (
    bounce_reader,
    charset_guesser,
    installed_helpers,
    tnef_opener,
)
from mailrouting.reading import BounceReport, Defect, Helpers, Kind, read

HELPERS = installed_helpers()


def attribute(level: int, number: int, data: bytes) -> bytes:
    """Build one TNEF attribute (MS-OXTNEF §2.1.3.1)."""
    return (
        struct.pack("<BII", level, number, len(data)) + data + struct.pack("<H", sum(data) % 65536)
    )


def tnef(*attributes: bytes) -> bytes:
    """Build a winmail.dat."""
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(attributes)


ONE_FILE = tnef(
    attribute(1, 0x00089006, struct.pack("<I", 0x00010000)),
    attribute(2, 0x00069002, b"\0" * 14),
    attribute(2, 0x00018010, b"plan.txt\0"),
    attribute(2, 0x0006800F, b"the plan"),
)


def test_winmail_is_opened():
    """The files in it become attachments."""
    raw = b"Content-Type: application/ms-tnef\r\n\r\n" + ONE_FILE
    message = read(raw, helpers=HELPERS)
    assert [(one.filename, one.content) for one in message.attachments] == [
        ("plan.txt", b"the plan")
    ]
    assert Defect.TNEF_CLOSED not in message.defects


@pytest.mark.parametrize(
    "data", [b"", b"no tnef", ONE_FILE[:30], ONE_FILE[:-20], b"\x78\x9f\x3e\x22\1\0" + b"\xff" * 99]
)
def test_broken_winmail_is_kept_closed_or_opened_in_part(data):
    """Nothing of it breaks the reading."""
    message = read(b"Content-Type: application/ms-tnef\r\n\r\n" + data, helpers=HELPERS)
    assert Defect.READER_FAULT not in message.defects
    assert bool(message.attachments) or not data or Defect.TNEF_CLOSED not in message.defects


def test_winmail_of_countless_attributes_is_refused():
    """Their number times its size is bounded: the library copies the rest for each."""
    assert tnef_opener()(tnef(attribute(1, 0x00089006, b"") * 30_000)) is None


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("Привет, у меня не работает принтер, помогите, пожалуйста", "koi8-r"),
        ("こんにちは、プリンターが動きません。助けてください", "shift-jis"),
        ("Καλημέρα σας, ο εκτυπωτής δεν λειτουργεί από χθες", "cp1253"),
    ],
)
def test_charset_is_guessed(text, charset):
    """Enough bytes of an undeclared text tell its character set, ASCII around them or not."""
    raw = b"\r\nPlain words first.\r\n" + text.encode(charset)
    assert (read(raw, helpers=HELPERS).text or "").splitlines()[-1] == text


def test_few_bytes_are_not_guessed():
    """Four bytes say nothing: they are read as Windows-1252."""
    assert read(b"\r\n\xd5\xc4\xd6\xdc", helpers=HELPERS).text == "ÕÄÖÜ"


ODD = (
    b"From: %s\r\nReturn-Path: <%s>\r\nTo: help@x.org\r\nSubject: %s\r\n\r\n"
    b"This Message was undeliverable due to the following reason:\r\n\r\n"
    b"Each of the following recipients was rejected by a remote mail server.\r\n\r\n"
    b"    Recipient: <gone@x.com>\r\n    Reason:    Requested action not taken\r\n"
)


def test_own_rules_come_before_the_extra():
    """A bounce that our own rules read is not asked about."""

    def read_bounce(raw: bytes) -> tuple[BounceReport, ...]:
        raise AssertionError(raw)

    raw = ODD % (b"mailer-daemon@x.com", b"", b"Returned mail")
    message = read(raw, helpers=Helpers(read_bounce=read_bounce))
    assert [one.recipient for one in message.bounces] == ["gone@x.com"]
    assert Defect.HELPER_FAULT not in message.defects


FOUND = BounceReport(recipient="gone@x.com", action="failed", status="5.0.0", permanent=True)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"From: mailer-daemon@x.com\r\n\r\nodd", Kind.BOUNCE),
        (b"From: gateway@x.com\r\nReturn-Path: <>\r\n\r\nodd", Kind.BOUNCE),
        (b"From: postmaster@x.com\r\nAuto-Submitted: auto-generated\r\n\r\nodd", Kind.BOUNCE),
        (b"From: postmaster@x.com\r\nList-Id: <l.x.com>\r\n\r\nodd", Kind.LIST),
        (b"From: a@x.com\r\nReturn-Path: <>\r\nAuto-Submitted: auto-replied\r\n\r\nodd", Kind.AUTOMATIC_REPLY),
        (b"From: ann@x.com\r\n\r\nMy mail could not be delivered to <b@x.com>", Kind.PERSONAL),
    ],
)  # fmt: skip
def test_extra_is_asked_only_where_a_mail_system_vouches(raw, kind):
    """A reader of odd bounces never decides about a person's mail."""
    message = read(raw, helpers=Helpers(read_bounce=lambda _: (FOUND,)))
    assert message.kind is kind
    assert message.bounces == ((FOUND,) if kind is Kind.BOUNCE else ())


def test_extra_that_raises_changes_nothing():
    """The mail is read without it, with a defect."""
    raw = b"From: mailer-daemon@x.com\r\n\r\nodd"
    message = read(raw, helpers=Helpers(read_bounce=lambda data: (FOUND,) * (1 // len(data[:0]))))
    assert message.kind is Kind.PERSONAL
    assert Defect.HELPER_FAULT in message.defects


def test_flufl_reads_what_our_rules_do_not():
    """Its recipients are reported with the class only: nothing proves that an address is dead."""
    found = bounce_reader()(
        b"From: x@x.com\r\nSubject: failure notice\r\n\r\n"
        b"Hi. This is the qmail-send program at x.com.\r\n\r\n<gone@x.com>:\r\nno mailbox\r\n\r\n"
        b"--- Below this line is a copy of the message.\r\n"
    )
    assert found == (FOUND,)


def test_large_mail_is_not_given_to_flufl():
    """The stdlib's parser and flufl's patterns see no mail over 1 MiB."""
    assert bounce_reader()(b"From: x@x.com\r\n\r\n" + b"x" * 1_100_000) == ()


@pytest.mark.parametrize(
    ("make", "module", "extra"),
    [
        (charset_guesser, "charset_normalizer", "charset"),
        (tnef_opener, "tnefparse", "tnef"),
        (bounce_reader, "flufl.bounce", "bounce"),
    ],
)
def test_missing_extra_is_a_clear_error(monkeypatch, make, module, extra):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.hint == f"Install mailrouting[{extra}]."


def test_importing_the_helpers_imports_no_extra():
    """Extras are loaded where they are asked for."""
    import subprocess

    script = (
        "import sys, mailrouting.integrations.reading_helpers, mailrouting.integrations.safe_html\n"
        "print([m for m in ('nh3', 'charset_normalizer', 'tnefparse', 'flufl') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
