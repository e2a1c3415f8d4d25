"""Finding the mail that names an address."""

import pytest

from mailrouting.errors import AddressError
from mailrouting.reading import identify
from mailrouting.records import Envelope, IntakeMail
from mailrouting.retention import erase_address, purge_before, rows_naming
from mailrouting.stores.memory import MemoryStorage
from mailrouting.testing import FakeClock

ANN = "ann@customer.example"


@pytest.fixture
def keep():
    """Return a storage and what keeps mails in it."""
    clock = FakeClock()
    storage = MemoryStorage(clock=clock)

    def keep(*raws, account="help", envelope=None):
        mails = [
            IntakeMail(account_id=account, raw=raw, identity=identify(raw), envelope=envelope)
            for raw in raws
        ]
        return [result.intake_id for result in storage.intake_put(mails, lease=None)]

    keep.storage = storage
    return keep


@pytest.mark.parametrize(
    "field",
    [
        f"From: Ann <{ANN}>",
        f"From: b@x.example, {ANN}",
        f"Sender: {ANN}",
        f"Reply-To: {ANN}",
        f"To: b@x.example, {ANN}",
        f"Cc: {ANN}",
        f"Bcc: {ANN}",
        f"Return-Path: <{ANN}>",
        f"Delivered-To: {ANN}",
        "From: ANN@CUSTOMER.EXAMPLE",
    ],
)
def test_every_field_that_names_people_is_looked_at(keep, field):
    """Whoever wrote, sent, gets or got the mail is found."""
    [intake_id] = keep(f"{field}\r\nSubject: x\r\n\r\nhello\r\n".encode())
    assert [row.id for row in rows_naming(keep.storage, ANN)] == [intake_id]


def test_the_envelope_is_looked_at(keep):
    """Both paths of pushed mail count, also when no field names them."""
    ids = keep(b"Subject: 1\r\n\r\n", envelope=Envelope(recipients=("x@y.example", ANN)))
    ids += keep(b"Subject: 2\r\n\r\n", envelope=Envelope(reverse_path=ANN))
    keep(b"Subject: 3\r\n\r\n", envelope=Envelope(reverse_path=""))
    assert [row.id for row in rows_naming(keep.storage, ANN)] == ids


def test_an_address_in_the_text_is_not(keep):
    """What somebody wrote about a person is for people to judge."""
    keep(f"From: b@x.example\r\n\r\nWrite to {ANN}\r\n".encode())
    assert list(rows_naming(keep.storage, ANN)) == []


def test_one_account_may_be_meant(keep):
    """Rows of other accounts are left alone."""
    raw = f"From: {ANN}\r\n\r\n".encode()
    [mine] = keep(raw, account="mine")
    keep(raw, account="other")
    assert erase_address(keep.storage, ANN, account_id="mine") == (mine,)
    assert len(list(rows_naming(keep.storage, ANN))) == 1


def test_many_are_found_and_forgotten(keep):
    """More than are listed at once; a second time there is nothing."""
    keep(*(f"From: {ANN}\r\nSubject: {n}\r\n\r\n".encode() for n in range(450)))
    assert len(erase_address(keep.storage, ANN)) == 450
    assert erase_address(keep.storage, ANN) == ()


def test_no_address_is_refused(keep):
    """A typing error forgets nothing."""
    with pytest.raises(AddressError):
        erase_address(keep.storage, "ann at customer")


def test_purging_leaves_what_has_no_outcome(keep):
    """Mail that waits is never forgotten by age."""
    keep(b"Subject: 1\r\n\r\n")
    assert purge_before(keep.storage, FakeClock().now.replace(year=2100)) == 0
