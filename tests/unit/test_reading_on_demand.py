"""Fields of a message that are computed when they are first asked for."""

import copy
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest
from hypothesis import given, strategies as st

from mailrouting.reading import Defect, Message, read, remainder

RAW = (
    b"Received: from a by b\r\nAuthentication-Results: mx.example.org; dmarc=pass\r\n"
    b"Delivered-To: help@example.org\r\nX-Priority: 1\r\nX-Auto-Response-Suppress: OOF, DR\r\n"
    b"From: Ann <ann@example.com>\r\nSubject: Fwd: Printer\r\nDate: yesterday\r\n\r\n"
    b"See below.\r\n\r\n---------- Forwarded message ---------\r\nFrom: Bob <bob@example.com>\r\n"
    b"To: ann@example.com\r\nSubject: Printer\r\n\r\nIt is on fire.\r\n"
)
NAMES = [field.alias for field in attrs.fields(Message)]


def whole(message: Message) -> dict[str, object]:
    """Return every field of a message."""
    return {name: getattr(message, name) for name in NAMES}


@given(st.randoms(use_true_random=False))
def test_the_order_of_asking_changes_nothing(chance: random.Random):
    """Each field has one value, whatever was asked for before it."""
    message = read(RAW)
    names = chance.sample(NAMES, len(NAMES))
    found = {name: getattr(message, name) for name in names}
    assert found == whole(read(RAW))
    assert all(found[name] for name in ("priority", "forwarded", "authentication_results"))


def test_a_message_equals_one_that_was_asked_for_everything():
    """Equality, hash and text do not depend on what was read so far."""
    asked = read(RAW)
    whole(asked)
    assert read(RAW) == asked
    assert hash(read(RAW)) == hash(asked)
    assert repr(read(RAW)) == repr(asked)
    assert read(RAW) == Message(**whole(asked))


def test_a_message_can_be_copied_pickled_and_evolved():
    """A copy is whole: it needs nothing of the message that it was made from."""
    expected = whole(read(RAW))
    assert whole(pickle.loads(pickle.dumps(read(RAW)))) == expected
    assert whole(copy.copy(read(RAW))) == expected
    assert whole(copy.deepcopy(read(RAW))) == expected
    assert whole(attrs.evolve(read(RAW), subject="Other")) == {**expected, "subject": "Other"}


def test_threads_get_equal_values():
    """Several threads may ask one message at once."""
    messages = [read(RAW) for _ in range(20)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(whole, [one for one in messages for _ in range(8)]))
    assert all(one == found[0] for one in found)


def test_an_unknown_name_is_an_error():
    """A misspelt name is no field, on a message that was read and on one that was made."""
    for message in (read(RAW), Message(raw=b"")):
        with pytest.raises(AttributeError, match="'Message' object has no attribute 'sujbect'"):
            _ = message.sujbect  # type: ignore[attr-defined]


def test_a_message_cannot_be_changed():
    """It is a value: what was not computed yet cannot be set either."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        read(RAW).reply = None  # type: ignore[misc]


def test_a_fault_in_a_later_field_is_a_defect(monkeypatch: pytest.MonkeyPatch):
    """A field that the reader fails on is empty, and the defects say so, asked before or after."""

    def fail(*_args: object, **_options: object) -> None:
        raise RecursionError

    monkeypatch.setattr(remainder, "find_forwarded", fail)
    first = read(RAW)
    assert first.defects == (Defect.BAD_DATE, Defect.READER_FAULT)
    second = read(RAW)
    assert second.forwarded is None
    assert second.priority is first.priority
    assert second.defects == first.defects


@pytest.mark.parametrize(
    "raw",
    [
        RAW, b"", b"\r\n\r\nbody", b"Subject: x\r\n\r\n", b"From: a@b\r\nFrom: c@d\r\n\r\n",
        b"From: x@y.z <a@b>\r\nDate: never\r\n\r\n", b"From: a@b\r\nTo: c@d\r\nTo: e@f\r\n\r\n",
        b"To:" + b" a@b," * 300 + b"\r\nContent-Type: multipart/mixed\r\n\r\n",
    ],
)  # fmt: skip
def test_one_defect_is_told_as_all_are(raw):
    """Asking for one defect gives the same answer as looking for it among all of them."""
    for defect in Defect:
        assert read(raw).has_defect(defect) == (defect in read(raw).defects)
