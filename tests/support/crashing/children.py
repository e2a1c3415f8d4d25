"""Run in forked children of a warm process: one costs milliseconds, and may end as it likes."""

import os
import pickle
import signal
import sys
import traceback
import warnings

_LONGEST_SECONDS = 60


class ChildError(AssertionError):
    """A child ended as nobody wanted."""


_stopped = []
_measuring = []


def _measure(*, wanted):
    """Measure coverage of this child by itself, or not at all: each file of it takes its time."""
    coverage = sys.modules.get("coverage")
    inherited = coverage and coverage.Coverage.current()
    if inherited:
        inherited.stop()
        _stopped.append(inherited)
    if wanted and _stopped:
        own = coverage.Coverage(data_suffix=True)
        # What was imported before the fork is measured from here on, which is the point.
        own.set_option("run:disable_warnings", ["module-not-measured", "already-imported"])
        own.start()
        _measuring.append(own)


def _save_coverage():
    """Write down which lines ran: a process that is killed has no other chance."""
    for own in _measuring:
        own.stop()
        own.save()


def kill():
    """End this process as the kernel ends one: no handler, no flush, no close."""
    _save_coverage()
    os.kill(os.getpid(), signal.SIGKILL)


def stop():
    """Halt this process until somebody wakes it."""
    os.kill(os.getpid(), signal.SIGSTOP)


class Child:
    """Be a forked process that runs one function.

    Args:
        run: What it does; what this returns is told to the parent.
        measured: Whether it writes coverage, even when it is killed.
        most_seconds: The system ends it after this time.

    Attributes:
        pid: Its process.
    """

    def __init__(self, run, *, measured=False, most_seconds=_LONGEST_SECONDS):
        self._reading, writing = os.pipe()
        with warnings.catch_warnings():
            # Python warns about threads: those of fakes and logs, whose locks no child asks for.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reading)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(most_seconds)
            _measure(wanted=measured)
            _live(run, writing)
        os.close(writing)

    def until_stopped(self):
        """Wait until it stopped or ended; return whether it stopped."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return True
        self._ended = status
        return False

    def wake(self):
        """Let it go on after it stopped."""
        os.kill(self.pid, signal.SIGCONT)

    def result(self):
        """Return what it returned when it has ended, or None when it was killed."""
        with os.fdopen(self._reading, "rb") as pipe:
            told = pipe.read()
        if self._ended is None:
            _, self._ended = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(self._ended)
        if code == -signal.SIGKILL:
            return None
        if code != 0:
            raise ChildError(f"a child ended with {code}:\n{told.decode(errors='replace')}")
        return pickle.loads(told)

    _ended = None


def _live(run, writing):
    """Run, tell and leave by `_exit`: neither pytest nor a parent's handler may see the end."""
    code = 0
    try:
        told = pickle.dumps(run())
        _save_coverage()
    except BaseException:  # noqa: BLE001 - nothing may escape from the child
        code, told = 71, traceback.format_exc().encode()
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(told)
    finally:
        os._exit(code)


def in_lanes(run, lanes):
    """Run `run(lane)` in so many processes at once, a single one here; return their results."""
    if lanes == 1:
        return [run(0)]
    children = [Child(lambda lane=lane: run(lane), most_seconds=3600) for lane in range(lanes)]
    return [child.result() for child in children]
