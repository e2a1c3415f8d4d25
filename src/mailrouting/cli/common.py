"""Hold what the commands share: options, statuses, and how an error ends a command."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from mailrouting.errors import ConfigurationError, MailroutingError, OutboundUnresolvedError

if TYPE_CHECKING:
    from mailrouting.cli.config import Config

__all__ = ["FAILED", "WRONG_CONFIGURATION", "config_option", "load", "stop", "tell"]

FAILED = 1
WRONG_CONFIGURATION = 2

_Command = TypeVar("_Command", bound=Callable[..., object])


def config_option(command: _Command) -> _Command:
    """Give a command the option `--config`."""
    option = click.option(
        "--config",
        "config_path",
        required=True,
        type=click.Path(path_type=Path),
        help="A TOML file of accounts and departments.",
    )
    return option(command)


def tell(error: MailroutingError) -> None:
    """Write an error and its hint to standard error."""
    click.echo(f"mailrouting: {error}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)


def stop(error: MailroutingError) -> NoReturn:
    """End the command with an error's text, hint and status."""
    tell(error)
    has_no_answer = isinstance(error, OutboundUnresolvedError)
    is_wrong = isinstance(error, ConfigurationError) and not has_no_answer
    sys.exit(WRONG_CONFIGURATION if is_wrong else FAILED)


def load(path: Path) -> "Config":
    """Read the configuration, or end the command; say what may be so and hardly is meant so."""
    from mailrouting.cli.config import read_config  # noqa: PLC0415 - commands start fast

    try:
        config = read_config(path)
    except MailroutingError as error:
        stop(error)
    for warning in config.warnings:
        click.echo(f"mailrouting: warning: {warning}", err=True)
    return config
