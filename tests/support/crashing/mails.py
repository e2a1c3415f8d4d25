"""Make the mails of a crash run: one of each outcome, each known by its words."""

import re

from mailrouting.testing import make_message, reply_to

ADDRESS = "help@desk.example"
FIRST = make_message(subject="first", text="word-0\n", message_id="first@customer.example")
MAILS = (
    FIRST,
    reply_to(FIRST, text="word-1\n", from_="carla@customer.example", to=ADDRESS),
    make_message(subject="our own", text="word-2\n", from_=ADDRESS),
    b"\x00\xff word-3, which is no mail at all",
    make_message(subject="last", text="word-4\n", headers={"X-Padding": "x" * 900}),
)
_WORD = re.compile(rb"word-\d+")


def word(raw):
    """Return the word that names a mail, in its bytes or in an entry made of it."""
    found = _WORD.search(raw.encode() if isinstance(raw, str) else raw)
    return found[0].decode() if found else repr(raw[:60])
