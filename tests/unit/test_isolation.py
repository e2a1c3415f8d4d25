"""Mail that would kill, hang or exhaust who reads it does so to a child (F46)."""

import os
import pickle
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailrouting.errors import ConfigurationError, HookError, StorageUnavailableError
from mailrouting.isolation import Isolation
from mailrouting.isolation._channel import (
    Answer,
    dump_message,
    load_message,
    receive,
    send,
    send_mail,
)
from mailrouting.isolation._child import serve
from mailrouting.reading import ReadingLimits, read
from mailrouting.testing import AttachedFile, make_message

READERS = str(Path(__file__).parent.parent / "planted")


@pytest.fixture
def obedient():
    """Return an isolation whose reader does what a subject says."""
    with Isolation(
        reader="planted_readers:obedient",
        helpers=None,
        search_path=[READERS],
        deadline_seconds=2,
        memory_bytes=512 << 20,
    ) as isolation:
        yield isolation


def test_a_mail_is_read_as_it_is_read_here():
    """The message is the same value, and its bytes are the caller's own, not a copy."""
    raw = make_message(
        subject="Grüße",
        html="<p>hi</p>",
        attachments=[AttachedFile("a.png", b"x" * 99, "image/png")],
    )
    with Isolation(helpers=None) as isolation:
        message = isolation(raw)
    assert message == read(raw)
    assert message.raw is raw


@pytest.mark.parametrize(
    ("what", "said", "kind"),
    [
        ("raise", "raise ValueError at planted_readers.py", type(None)),
        ("recurse", "raise RecursionError", RecursionError),
        ("allocate", "raise MemoryError", MemoryError),
        ("loop", "took longer than 2 s", TimeoutError),
        ("segfault", "ended the process that read it: signal 11", ChildProcessError),
        ("exit", "ended the process that read it: exit status 3", ChildProcessError),
        ("nonsense", "ended the process that read it: it talked nonsense", ChildProcessError),
    ],
)
def test_what_a_mail_does_it_does_to_a_child(obedient, what, said, kind):
    """The attempt fails in the step `read`, says how, and the next mail is read."""
    with pytest.raises(HookError, match=said) as caught:
        obedient(make_message(subject=what))
    assert caught.value.hook == "read"
    assert isinstance(caught.value.__cause__, kind)
    assert "own words" not in str(caught.value)
    assert obedient(make_message(subject="fine")).subject == "fine"


def test_a_child_knows_no_secret_and_is_kept(monkeypatch):
    """The environment of the child is what Python needs, and one child reads many mails."""
    monkeypatch.setenv("SUPPORT_PASSWORD", "planted-marker")
    with Isolation(reader="planted_readers:tells_environment", search_path=[READERS]) as isolation:
        told = {isolation(b"Subject: hi\r\n\r\n").subject for _ in range(3)}
    [one] = told
    assert "PATH" in one
    assert "SUPPORT_PASSWORD" not in one


def test_each_thread_has_a_child_of_its_own(tmp_path):
    """One mail that takes long keeps no other thread waiting."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with (
        Isolation(reader="planted_readers:patient", helpers=None, search_path=[READERS]) as reader,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(reader, make_message(subject=f"wait for {pipe}"))
        for number in range(20):
            assert reader(make_message(subject=f"mail {number}")).subject == f"mail {number}"
        assert not waiting.done()
        pipe.write_bytes(b"go on")
        assert waiting.result().subject == f"wait for {pipe}"


def test_limits_reach_the_child():
    """A mail is read there within the limits of the call."""
    raw = make_message(subject="x" * 500)
    limits = ReadingLimits(value_bytes=100)
    with Isolation(helpers=None) as isolation:
        assert isolation(raw, limits=limits) == read(raw, limits=limits)


def test_helpers_are_made_there():
    """The factory that is named makes the helpers, in the child."""
    raw = b"From: a@example.org\r\n\r\n" + "привет".encode("koi8-r")
    with Isolation(helpers="planted_readers:guesses", search_path=[READERS]) as isolation:
        assert isolation(raw).text == "привет"


@pytest.mark.parametrize("name", ["nowhere:read", "mailrouting.reading:nothing", "mailrouting"])
def test_a_wrong_name_is_known_at_once(name):
    """What cannot be loaded is refused before any mail."""
    with pytest.raises(ConfigurationError, match="cannot load what is named"):
        Isolation(reader=name).__enter__()


@pytest.mark.parametrize(
    ("python", "said"),
    [("/bin/false", "does not start: exit status 1"), ("/nowhere", "No such file or directory")],
)
def test_a_child_that_cannot_start_is_no_fault_of_the_mail(python, said):
    """The attempt is given back: the system is at fault."""
    with pytest.raises(StorageUnavailableError, match=said):
        Isolation(python=python)(b"")


def test_too_little_memory_for_python_itself_is_known_at_once():
    """What cannot even be loaded in the memory that is given is refused before any mail."""
    with pytest.raises(ConfigurationError):
        Isolation(memory_bytes=1 << 20).__enter__()


def test_after_close_nothing_is_read():
    """Closing is idempotent, and what comes after it gives the attempt back."""
    isolation = Isolation()
    isolation.close()
    isolation.close()
    with pytest.raises(StorageUnavailableError):
        isolation(b"")


def test_a_child_that_died_idle_harms_no_mail(obedient):
    """A child that somebody killed meanwhile is replaced before it gets the next mail."""
    [child] = obedient._idle
    child.process.kill()
    child.process.wait()
    assert obedient(make_message(subject="fine")).subject == "fine"


def test_the_reader_must_return_a_message():
    """What is no message fails the mail."""
    with (
        Isolation(reader="planted_readers:not_a_message", search_path=[READERS]) as isolation,
        pytest.raises(HookError),
    ):
        isolation(b"Subject: hi\r\n\r\n")


class _Evil:
    def __reduce__(self):
        return print, ("the parent ran what the child said",)


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(_Evil()),
        pickle.dumps(read),
        pickle.dumps(Path),
        pickle.dumps(ReadingLimits()),
        b"cmailrouting.reading.reader\nread\n(C\x00tR.",
        b"\x80\x04\x8c\x13mailrouting.reading\x8c\x0fKind.__reduce__\x93.",
        b"Pother\n.",
        b"",
        b"junk",
    ],
)
def test_nothing_but_values_of_reading_is_loaded(data, capsys):
    """An answer that names a function, or anything that is no message, is refused."""
    with pytest.raises(EOFError):
        load_message(data, b"raw")
    assert capsys.readouterr().out == ""


def test_a_message_comes_back_without_its_mail():
    """The mail's bytes do not travel back: the parent puts in its own."""
    raw = make_message(text="x" * 50_000)
    data = dump_message(read(raw), raw)
    assert load_message(data, raw) == read(raw)
    assert len(data) < 2.5 * len(raw)


@pytest.fixture
def ends():
    """Return the two ends of a channel, closed afterwards."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"\x06" + (10**15).to_bytes(8, "big"), "expected at most"),
        (b"\x63" + bytes(8), "unknown kind"),
        (b"\x06\x00", "gone"),
    ],
)
def test_an_answer_that_lies_is_refused(ends, frame, said):
    """A length, a kind or an end that cannot be is an end of the child."""
    ours, theirs = ends
    theirs.sendall(frame)
    theirs.close()
    with pytest.raises(EOFError, match=said):
        receive(ours, most=1000, left=lambda: 10.0)


def test_the_childs_loop_serves_until_the_parent_is_gone(ends):
    """The loop itself, here in a thread: settings, mail, failure, an end."""
    ours, theirs = ends
    counted = []
    served = threading.Thread(
        target=serve, args=(theirs,), kwargs={"limit": lambda _: lambda: counted.append(1)}
    )
    served.start()
    settings = (
        b'{"reader": "planted_readers:obedient", "helpers": "planted_readers:guesses",'
        b' "search_path": ["%s"]}' % READERS.encode()
    )
    send(ours, Answer.SETTINGS, settings)
    assert receive(ours)[0] is Answer.READY
    for subject, answer in (("a", Answer.MESSAGE), ("raise", Answer.FAILURE)):
        send_mail(ours, make_message(subject=subject), {})
        assert receive(ours)[0] is answer
    ours.close()
    served.join(timeout=30)
    assert not served.is_alive()
    assert counted == [1, 1]


def test_the_childs_loop_says_what_it_cannot_load(ends):
    """The reason goes to the parent, and the child ends."""
    ours, theirs = ends
    send(ours, Answer.SETTINGS, b'{"reader": "nowhere:x", "helpers": null, "search_path": []}')
    serve(theirs, limit=lambda _: lambda: None)
    assert receive(ours) == (Answer.REFUSED, b"ModuleNotFoundError: No module named 'nowhere'")
