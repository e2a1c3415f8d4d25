"""Answers to FETCH mean the same, read fast or by imapclient."""

import pytest
from hypothesis import example, given, strategies as st
from imapclient.response_parser import parse_fetch_response

from mailrouting.wire._imap_answers import usual

NUMBERS = st.one_of(
    st.integers(0, 2**33).map(b"%d".__mod__), st.sampled_from([b"007", b"-1", b"x", b"9" * 25])
)
FLAGS = st.lists(
    st.sampled_from(
        [b"\\Seen", b"\\Recent", b"$MrMoving", b"Junk", b"NIL", b"12", b'"a b"', b"\\*"]
    ),
    max_size=4,
)
DATES = st.one_of(
    st.datetimes().map(lambda time: time.strftime("%d-%b-%Y %H:%M:%S +0130").encode()),
    st.sampled_from(
        [
            b" 1-Feb-2026 09:00:01 -0800",
            b"31-Feb-2026 09:00:01 +0000",
            b"01-Foo-2026 09:00:01 +0000",
            b"01-Feb-2026 09:00:01 -0000",
            b"01-Feb-2026 24:00:61 +0000",
            b"01-Feb-2026 09:00:01 +9900",
            b"01-Feb-2026",
            b"",
        ]
    ),
)
ITEMS = st.one_of(
    NUMBERS.map(b"UID %s".__mod__),
    NUMBERS.map(b"RFC822.SIZE %s".__mod__),
    FLAGS.map(lambda flags: b"FLAGS (%s)" % b" ".join(flags)),
    DATES.map(b'INTERNALDATE "%s"'.__mod__),
    st.sampled_from([b"INTERNALDATE NIL", b"uid 3", b"MODSEQ (12)", b"BODY[] NIL", b"X"]),
)
LINES = st.builds(
    lambda seq, items, end: [b"%s (%s%s" % (seq, b" ".join(items), end)],
    NUMBERS,
    st.lists(ITEMS, max_size=5),
    st.sampled_from([b")", b")", b")", b" )", b"", b")("]),
)
BODIES = st.builds(
    lambda seq, uid, item, body, off, end: [
        (b"%s (%s %s {%d}" % (seq, uid, item, len(body) + off), body),
        *end,
    ],
    NUMBERS,
    NUMBERS.map(b"UID %s".__mod__),
    st.sampled_from([b"BODY[]", b"BODY[HEADER]<0>", b"BODY[]<1048576>", b"body[]", b"BODY[TEXT]"]),
    st.binary(max_size=20),
    st.sampled_from([0, 0, 0, 1]),
    st.sampled_from([[b")"], [b")"], [b" FLAGS (\\Seen))"], []]),
)


def comparable(found):
    """Return what was found with times as texts, for those of imapclient have zones of its own."""
    return {
        uid: {key: str(told) if key == b"INTERNALDATE" else told for key, told in one.items()}
        for uid, one in found.items()
    }


@given(st.lists(st.one_of(LINES, BODIES), min_size=1, max_size=4))
@example([[b'1 (UID 2 RFC822.SIZE 3 FLAGS () INTERNALDATE " 1-Feb-2026 09:00:01 -0830")']])
@example([[b"1 (UID 2 UID 3 RFC822.SIZE 3)"], [b"2 (UID 3 FLAGS (\\Seen))"]])
@example([[None]])
def test_an_answer_means_what_imapclient_says(answers):
    """Whatever a server answers, the fast reading says the same, or leaves it to imapclient."""
    lines = [line for answer in answers for line in answer]
    fast = usual(lines)
    if fast is not None:
        slow = parse_fetch_response(lines, normalise_times=False, uid_is_key=True)
        assert comparable(fast) == comparable(slow)


@pytest.mark.parametrize(
    "answer",
    [
        [b'1 (UID 2 RFC822.SIZE 3 FLAGS (\\Seen $X) INTERNALDATE "01-Feb-2026 09:00:01 +0100")'],
        [b'1 (FLAGS () INTERNALDATE "01-Feb-2026 09:00:01 +0100" RFC822.SIZE 3 UID 2)'],
        [(b"1 (UID 2 BODY[] {3}", b"abc"), b")"],
        [(b"1 (UID 2 BODY[HEADER]<0> {3}", b"abc"), b")"],
    ],
    ids=["told", "in another order", "body", "header"],
)
def test_usual_answers_do_not_go_through_imapclient(answer):
    """What servers mostly say is read without it: that is what the time of a fetch was."""
    assert usual(answer) is not None
    assert usual(answer)[2][b"SEQ"] == 1
