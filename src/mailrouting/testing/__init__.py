"""Test code that embeds mailrouting (floor 8): fakes that behave, in memory, and builders of mail.

The conformance kits need pytest and Hypothesis (extra `testing`), so they are imported from
`mailrouting.testing.conformance`.
"""

from mailrouting.testing.doubles import FakeClock, RecordedTicket, RecordingDesk
from mailrouting.testing.messages import (
    AttachedFile,
    delivery_failure,
    list_post,
    make_message,
    reply_to,
    vacation_reply,
)
from mailrouting.testing.server import CommandRecord, FakeMail, FakeMailServer

__all__ = [
    "AttachedFile",
    "CommandRecord",
    "FakeClock",
    "FakeMail",
    "FakeMailServer",
    "RecordedTicket",
    "RecordingDesk",
    "delivery_failure",
    "list_post",
    "make_message",
    "reply_to",
    "vacation_reply",
]
