"""Make what the documentation says of the source from the source.

- `errors`: a table of every error; `obligations module.Class`: what a protocol promises; `levels`: which of
  that the storage kit tests on which level.
- A name is linked to the front door that documents it, wherever it is defined.
- Names of Python itself stay without a link: a build asks no other site for its inventory.
"""

import builtins
import enum
import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from mailrouting import errors
from mailrouting.testing._kit_levels import Level, level_of, obligations_of, previewed_until
from mailrouting.testing._kit_report import kit_tests, spans
from mailrouting.testing.conformance import StorageConformance

_NUMBERED = re.compile(r" +(?P<number>[A-Z]\d+)\. (?P<text>.*)")
_CODE = re.compile(r"(?<!`)(`{1,2})(?!`)([^`]+)\1(?!`)(?=(\w?))")
# A name that ends in `_` would be a link.
_LIKE_A_LINK = re.compile(r"^(:\w+ (?:.* )?\w+)_:")
# Letters that stand for a type in a signature.
_TYPE_VARIABLES = {"Tx", "Tx_co", "Tx_contra"}
# Every line of these is prose. Napoleon takes what stands before a colon for a type.
_PROSE = {"attribute", "data", "property"}


def _listed(lines: list[str]) -> Iterator[str]:
    """Turn numbered obligations into bullets."""
    inside = False
    for line in lines:
        if line == "Obligations:":
            inside = True
            yield from ("**Obligations**", "")
        elif inside and (found := _NUMBERED.match(line)):
            yield f"* **{found['number']}** {found['text']}"
        elif inside and line.startswith(" "):
            yield f"  {line.strip()}"
        else:
            inside = inside and not line
            yield line


def _closed(code: re.Match[str]) -> str:
    """End code as reStructuredText wants it: not after a space, and not before a letter."""
    separator = r"\ " if code[3] else ""
    return f"{code[1]}{code[2].rstrip(' ') or code[2]}{code[1]}{separator}"


def keep_members(_: Sphinx, __: str, ___: str, member: Any, *_rest: Any) -> bool | None:
    """Show every member of an enum: a value that says it all needs no sentence."""
    return False if isinstance(member, enum.Enum) else None


class Docstrings:
    """Prepare docstrings for napoleon, and keep its hands off those that it misreads."""

    def __init__(self) -> None:
        self.prose: dict[str, list[str]] = {}

    def before(self, _: Sphinx, what: str, name: str, *rest: Any) -> None:
        lines: list[str] = rest[-1]
        lines[:] = _CODE.sub(_closed, "\n".join(_listed(lines))).split("\n")
        if what in _PROSE:
            self.prose[name] = list(lines)

    def after(self, _: Sphinx, what: str, name: str, *rest: Any) -> None:
        lines: list[str] = rest[-1]
        if what in _PROSE:
            lines[:] = self.prose.pop(name)
        lines[:] = [_LIKE_A_LINK.sub(r"\1\_:", line) for line in lines]


def resolve_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Find where a name is documented that is written as where it is defined."""
    target = node.get("reftarget", "")
    root, name = target.partition(".")[0], target.rpartition(".")[2]
    if root in sys.stdlib_module_names or hasattr(builtins, root) or name in _TYPE_VARIABLES:
        return content
    domain = env.domains.python_domain
    homes = [home for home in domain.objects if home.rpartition(".")[2] == name]
    if root != "mailrouting" or not homes:
        return None
    # Of several the shortest: the front door.
    home = min(homes, key=lambda home: (home.count("."), home))
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", home, node, content)


class Errors(SphinxDirective):
    """Show every error class: what it reports, whether to retry, what it carries."""

    def run(self) -> list[nodes.Node]:
        rows = ["Class", "Is a", "What it does", "Retry", "Evidence"], *_error_rows()
        return self.parse_text_to_nodes(_table(rows))


def _table(rows: Iterable[list[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'  -' if number else '* -'} {cell}" for number, cell in enumerate(row)]
    return "\n".join(lines)


def _error_rows() -> Iterator[list[str]]:
    for name in sorted(errors.__all__):
        error = getattr(errors, name)
        if not issubclass(error, Exception):
            continue
        text = inspect.getdoc(error) or ""
        evidence = re.findall(r"^    (\w+):", text, re.MULTILINE)
        yield [
            f":class:`~mailrouting.errors.{name}`",
            ", ".join(base.__name__ for base in error.__bases__).replace("_Text", "Configuration"),
            text.partition("\n")[0],
            "yes" if error.retryable else "no",
            ", ".join(f"`{attribute}`" for attribute in evidence),
        ]


class Obligations(SphinxDirective):
    """Show the numbered obligations of a protocol."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].rpartition(".")
        protocol = getattr(importlib.import_module(module), name)
        lines = list(_listed((inspect.getdoc(protocol) or "").splitlines()))
        start = lines.index("**Obligations**") + 1
        return self.parse_text_to_nodes("\n".join(lines[start:]))


class Levels(SphinxDirective):
    """Show which obligations the storage kit tests on which level, and which are a preview."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(_table([["Level", "For", "Tests of"], *_level_rows()]))


def _level_rows() -> Iterator[list[str]]:
    tests = kit_tests(StorageConformance).values()
    binding = [test for test in tests if previewed_until(test) is None]
    for level in Level:
        own = [test for test in binding if level_of(test) is level]
        yield [f"{level}: `{level.name}`", level.meaning, _numbers_of(own)]
    for until in sorted({previewed_until(test) or "" for test in tests} - {""}):
        coming = [test for test in tests if previewed_until(test) == until]
        yield ["preview", f"binding from {until} on", _numbers_of(coming)]


def _numbers_of(tests: Iterable[object]) -> str:
    return spans({number for test in tests for number in obligations_of(test)})


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of it."""
    docstrings = Docstrings()
    app.add_directive("errors", Errors)
    app.add_directive("levels", Levels)
    app.add_directive("obligations", Obligations)
    app.connect("autodoc-process-docstring", docstrings.before, priority=400)
    app.connect("autodoc-process-docstring", docstrings.after, priority=600)
    app.connect("autodoc-skip-member", keep_members)
    app.connect("missing-reference", resolve_name)
    return {"parallel_read_safe": True}
