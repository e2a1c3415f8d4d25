"""Count the steps of a run: every call to server, storage and host, before and after it."""

import functools
from collections.abc import Iterator


class Steps:
    """Count, and at one step do what ends the process; at None never."""

    def __init__(self, at, end):
        self.passed = 0
        self._at = at
        self._end = end

    def step(self):
        """Pass one step."""
        self.passed += 1
        if self.passed == self._at:
            self._end()

    def around(self, call):
        """Return the call with a step before and after it."""

        @functools.wraps(call)
        def stepping(*args, **kwargs):
            self.step()
            result = call(*args, **kwargs)
            self.step()
            return result

        return stepping


class SteppingSession:
    """Be a session whose calls, and the items that they yield, are steps."""

    def __init__(self, session, steps):
        self._session = session
        self._steps = steps

    @property
    def features(self):
        return self._session.features

    def __getattr__(self, name):
        method = getattr(self._session, name)

        def stepping(*args, **kwargs):
            self._steps.step()
            result = method(*args, **kwargs)
            if isinstance(result, Iterator):
                return self._items(result)
            self._steps.step()
            return result

        return stepping

    def _items(self, items):
        for item in items:
            self._steps.step()
            yield item
        self._steps.step()


def stepping(cls):
    """Return a subclass whose public methods are steps of `self.steps` once that is set."""

    def wrap(name, method):
        @functools.wraps(method)
        def wrapped(self, *args, **kwargs):
            if self.steps is None:
                return method(self, *args, **kwargs)
            if name == "conclude":  # between the storage's BEGIN and its COMMIT, too
                claim, write = args
                args = (claim, self.steps.around(write))
            return self.steps.around(method)(self, *args, **kwargs)

        return wrapped

    methods = {
        name: wrap(name, getattr(cls, name))
        for name in dir(cls)
        if not name.startswith("_") and callable(getattr(cls, name))
    }
    return type(f"Stepping{cls.__name__}", (cls,), {**methods, "steps": None})
