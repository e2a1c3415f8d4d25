"""Take in one mail from a mail server's pipe, and say how it went as sysexits.h has it."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

import click

from mailrouting.cli.assembling import assemble, session_opener
from mailrouting.cli.common import tell
from mailrouting.cli.config import read_config
from mailrouting.cli.state import check_state, create_state, naming_state
from mailrouting.errors import ConfigurationError
from mailrouting.hooks import Event
from mailrouting.records import Envelope
from mailrouting.stores.sqlite import SqliteStorage

__all__ = ["EX_CONFIG", "EX_DATAERR", "EX_NOUSER", "EX_OK", "EX_TEMPFAIL", "accept_mail"]

EX_OK: Final = 0
EX_DATAERR: Final = 65
EX_NOUSER: Final = 67
EX_TEMPFAIL: Final = 75
EX_CONFIG: Final = 78


def accept_mail(
    stream: BinaryIO,
    *,
    config_path: Path,
    account_id: str,
    sender: str | None,
    recipients: Sequence[str],
) -> int:
    """Make a mail durable in the state, beside whatever else is at work there; return the status.

    Raises:
        MailroutingError: The state cannot be used now, for whatever reason; nothing was kept.
        OSError: The mail cannot be read, likewise.
    """
    try:
        config = read_config(config_path)
    except ConfigurationError as error:
        tell(error)
        return EX_CONFIG
    try:
        config.require_account(account_id, named="--account")
    except ConfigurationError as error:
        tell(error)
        return EX_NOUSER
    raw = stream.read()
    if not raw:
        click.echo("mailrouting: there is no mail on standard input", err=True)
        return EX_DATAERR
    named = f"{config.path}: state"
    check_state(config.state, named=named)
    create_state(config.state, named=named)
    envelope = Envelope(recipients=tuple(recipients), reverse_path=sender)
    with naming_state(config.state), SqliteStorage(config.state) as storage:
        fetcher = assemble(
            config, storage, session_opener(config), listener=_silent, worker="mailrouting accept"
        )
        fetcher.accept(raw, account=account_id, envelope=envelope)
    return EX_OK


def _silent(_account_id: str, _event: Event, _detail: str) -> None:
    """Say nothing: a mail server puts every word into its log."""
