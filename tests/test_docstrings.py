"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import mailrouting

_FLAGS = doctest.NORMALIZE_WHITESPACE


def _modules():
    yield mailrouting
    for found in pkgutil.walk_packages(mailrouting.__path__, "mailrouting."):
        yield importlib.import_module(found.name)


def _examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for module in _modules():
        for test in finder.find(module):
            if test.examples:
                yield pytest.param(test, id=test.name)


@pytest.mark.parametrize("example", list(_examples()))
def test_an_example_gives_what_it_shows(example):
    """Each docstring's example runs as it stands, in its module."""
    told = []
    results = doctest.DocTestRunner(optionflags=_FLAGS).run(example, out=told.append)
    assert results.failed == 0, "".join(told)
    assert results.attempted == len(example.examples)
