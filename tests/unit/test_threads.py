"""Which ids and numbers of a mail lead to tickets, and in which order."""

import re

import pytest

from mailrouting.reading import Message, read
from mailrouting.records import ThreadRecord
from mailrouting.testing import delivery_failure, make_message
from mailrouting.threads import (
    Evidence,
    EvidenceKind,
    bounce_ids,
    gather,
    referenced_ids,
    subject_numbers,
)


def record(message_id, ticket, account="help"):
    """Make a stored record."""
    return ThreadRecord(message_id=message_id, ticket=ticket, account_id=account)


def found(evidence):
    """Show evidence as pairs."""
    return [(item.kind.name, item.ticket) for item in evidence]


def test_in_reply_to_comes_first_then_references_from_the_newest():
    """What is answered directly leads first; each id is named once."""
    message = Message(raw=b"", in_reply_to=("c",), references=("a", "b", "c"))
    assert referenced_ids(message) == ("c", "b", "a")


def test_at_most_twenty_ids_are_looked_up():
    """A mail with five hundred references costs no more than one with twenty."""
    message = Message(raw=b"", references=tuple(str(number) for number in range(500)))
    assert referenced_ids(message) == tuple(str(number) for number in range(499, 479, -1))


def test_empty_ids_are_left_out():
    """An empty id is no evidence."""
    message = Message(raw=b"", in_reply_to=("x", "", "y"))
    assert referenced_ids(message) == ("x", "y")


def test_a_report_is_about_the_mail_that_it_returns():
    """The returned mail's id comes before those that the report answers."""
    report = read(delivery_failure(make_message(message_id="ours@desk.example")))
    assert bounce_ids(report) == ("ours@desk.example",)
    message = Message(raw=b"", original_message_id="a", in_reply_to=("b", "a"))
    assert bounce_ids(message) == ("a", "b")
    assert bounce_ids(Message(raw=b"", in_reply_to=("b",))) == ("b",)


@pytest.mark.parametrize(
    ("subject", "numbers"),
    [
        ("Re: [#4711] Printer", ("4711",)),
        ("#1 and #2, #1 again, #3 and #4", ("1", "2", "3")),
        ("#12ab #ab12 # 5", ()),
        ("#" + "9" * 19, ()),
        ("x" * 998 + "#5", ()),
        (None, ()),
    ],
)
def test_numbers_of_the_subject(subject, numbers):
    """A number stands behind `#`, bounded; at most three count, of the first 998 characters."""
    assert subject_numbers(Message(raw=b"", subject=subject)) == numbers


def test_the_host_says_how_its_numbers_look():
    """The first group of the host's pattern is the number."""
    pattern = re.compile(r"\bTKT-([A-Z0-9]+)")
    message = Message(raw=b"", subject="AW: TKT-7F3 (#12)")
    assert subject_numbers(message, pattern=pattern) == ("7F3",)


def test_stored_ids_are_stronger_than_numbers():
    """Evidence is in the order of ids, then of numbers."""
    evidence = gather(
        ids=("b", "a"),
        stored=[record("a", "1"), record("b", "2")],
        numbers={"7": "3"},
        account_id="help",
    )
    assert found(evidence) == [("STORED_ID", "2"), ("STORED_ID", "1"), ("SUBJECT_NUMBER", "3")]


def test_of_one_id_the_mails_own_account_comes_first():
    """Two mailboxes hold copies of one mail: the reply goes to the ticket of its own mailbox."""
    stored = [record("a", "1", "sales"), record("a", "2", "help")]
    evidence = gather(ids=("a",), stored=stored, numbers={}, account_id="help")
    assert found(evidence) == [("STORED_ID", "2"), ("STORED_ID", "1")]
    assert evidence[0] == Evidence(
        kind=EvidenceKind.STORED_ID, ticket="2", value="a", account_id="help"
    )


def test_each_ticket_is_named_once_by_kind_by_the_strongest():
    """Several ids of one ticket are one piece of evidence; its number is another."""
    stored = [record("a", "1"), record("b", "1"), record("unasked", "9")]
    evidence = gather(ids=("b", "a"), stored=stored, numbers={"1": "1"}, account_id="help")
    assert [(item.kind.name, item.value) for item in evidence] == [
        ("STORED_ID", "b"),
        ("SUBJECT_NUMBER", "1"),
    ]
