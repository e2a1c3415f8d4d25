"""Show values as lines: a table on a terminal, lines in a pipe, objects for machines."""

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import cast

import click

from mailrouting.cli.showing import printable

__all__ = ["show", "when"]


def when(moment: datetime | None) -> str | None:
    """Return a time as people and machines read it."""
    return None if moment is None else moment.isoformat(timespec="seconds")


def show(rows: Iterable[Mapping[str, object]], *, as_json: bool) -> None:
    """Print one row a line.

    With `as_json` each is an object. On a terminal the others are a table, in a pipe each is
    `key=value` with two spaces between; what is None or empty is left out there.
    """
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    elif sys.stdout.isatty():
        _table([dict(row) for row in rows])
    else:
        for row in rows:
            parts = [f"{key}={_text(value)}" for key, value in row.items() if value not in _NOTHING]
            click.echo("  ".join(parts))


_NOTHING: tuple[object, ...] = (None, "", {}, [])


def _text(value: object) -> str:
    if isinstance(value, dict):
        counts = cast("dict[str, int]", value)
        return ",".join(f"{key}:{number}" for key, number in counts.items())
    return printable("" if value is None else str(value))


def _table(rows: list[dict[str, object]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    used = [
        key for key in (rows[0] if rows else {}) if any(row[key] not in _NOTHING for row in rows)
    ]
    table = Table(*used, box=None, pad_edge=False)
    for row in rows:
        # As text: a name in brackets is no markup.
        table.add_row(*(Text(_text(row[key])) for key in used))
    Console().print(table)
