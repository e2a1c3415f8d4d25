"""What reads ordinary mail fast gives what the exact reading gives."""

from hypothesis import example, given, strategies as st

from mailrouting.reading import Defect, header_block
from mailrouting.reading.limits import DEFAULT, ReadingLimits

_HEADER_PIECES = st.sampled_from(
    [
        b"From: a@example.org", b"Subject:  two  words ", b"subject:x", b"X-Empty:", b"To:\t a, b\t", b" folded", b"\tfolded ",
        b"  ", b"--b", b"--x: y", b"a b: c", b"x :y", b"From a@b 09:15", b">From a 09:15", b"\0", b"\r", b"\xe9", b":", b"x\0y: z",
    ]
)  # fmt: skip
_ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n"])
_ANY_LINES = st.lists(st.tuples(_HEADER_PIECES, _ENDS), max_size=8).map(
    lambda lines: b"".join(line + end for line, end in lines)
)
_ONE_END = st.tuples(
    st.lists(_HEADER_PIECES, max_size=8), st.sampled_from([b"\r\n", b"\n"]), st.binary(max_size=9)
).map(lambda mail: mail[1].join([*mail[0], b"", mail[2]]))
_LIMITS = st.sampled_from(
    [DEFAULT, ReadingLimits(header_fields=3), ReadingLimits(header_bytes=40, value_bytes=8)]
)


@given(_ONE_END | _ANY_LINES | st.binary(max_size=60), _LIMITS, st.booleans(), st.integers(0, 3))
@example(b"X: a\n  \n b\n\n", DEFAULT, True, 0)
@example(b"X: \r\n b \r\n\r\nbody", DEFAULT, False, 0)
def test_a_plain_header_reads_as_any_header(data, limits, is_top, start):
    """Where the one pass over a header answers, the reading line by line finds the same."""
    plain = header_block._plain_header(data, start, len(data), limits=limits, is_top=is_top)
    if plain is None:
        return
    met: list[Defect] = []
    exact = header_block._any_header(
        data, start, len(data), limits=limits, report=met.append, is_top=is_top
    )
    assert met == []
    assert plain.fields == exact.fields
    assert plain.body_start == exact.body_start
    for name in exact.names:
        assert plain.all(name) == exact.all(name)
        assert plain.first(name) == exact.first(name)
