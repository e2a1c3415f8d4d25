"""Sequence-sets and folder names, read and written by two sides that share no code."""

import pytest
from hypothesis import given, strategies as st
from imapclient.imap_utf7 import decode as other_decode, encode as other_encode

from mailrouting.errors import ConfigurationError
from mailrouting.testing._imap_text import decode_folder, encode_folder, matches, quoted, tokens
from mailrouting.wire.guard import imap_uids, uid_set
from mailrouting.wire.trouble import excerpt, response_code

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1)


@given(st.sets(st.integers(1, 2**32 - 1), min_size=1), st.integers(0, 50))
def test_a_uid_set_names_exactly_its_uids(numbers, run):
    """Whatever is written as a set is read as the same set, runs and all."""
    wanted = numbers | {max(numbers) - step for step in range(run) if max(numbers) > step}
    assert matches(uid_set(wanted), wanted | {1, 2**32 - 1}) == sorted(wanted)


@given(st.lists(st.integers(1, 2**32 - 1)))
def test_uids_keep_their_order_and_come_once(numbers):
    """UIDs given as text are the same numbers, in order, without repetition."""
    assert imap_uids(map(str, numbers)) == list(dict.fromkeys(numbers))


@given(st.text())
def test_no_text_but_a_number_is_a_uid(text):
    """Everything else is refused with our error."""
    if text.isascii() and text.isdigit() and not text.startswith("0") and int(text) < 2**32:
        assert imap_uids([text]) == [int(text)]
    else:
        with pytest.raises(ConfigurationError):
            imap_uids([text])


@given(NAMES)
def test_folder_names_agree_with_another_codec(name):
    """Modified UTF-7 of the loopback server is that of imapclient, both ways."""
    coded = encode_folder(name)
    assert coded.encode() == other_encode(name)
    assert decode_folder(coded) == name == other_decode(coded.encode())


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]))))
def test_quoted_strings_are_read_back(words):
    """A quoted string is one word, whatever is in it."""
    assert tokens(" ".join(map(quoted, words))) == words


@given(st.text(), st.text(min_size=1))
def test_an_excerpt_is_short_printable_and_without_the_secret(said, secret):
    """Whatever a server says can be shown."""
    shown = excerpt(said + secret + said, hide=[secret])
    assert len(shown) <= 200
    assert shown.isprintable()
    if len(secret) > 1 and set(secret).isdisjoint("*?"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[UNAVAILABLE] later", "UNAVAILABLE"),
        ("[badcharset (UTF-8)] no", "BADCHARSET"),
        ("[SYS/TEMP] later", "SYS/TEMP"),
        ("no code", None),
        ("[] no", None),
    ],
)
def test_response_codes_are_found(text, code):
    """RFC 5530 and RFC 3206 forms, in upper case."""
    assert response_code(text) == code
