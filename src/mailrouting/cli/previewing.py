"""Count what a first run would take in."""

from datetime import UTC, datetime

import click

from mailrouting.cli.assembling import session_opener
from mailrouting.cli.config import Config
from mailrouting.cli.listing import show
from mailrouting.cli.showing import printable
from mailrouting.errors import MailroutingError
from mailrouting.fetch import Fetcher
from mailrouting.stores.memory import MemoryStorage
from mailrouting.testing import RecordingDesk

__all__ = ["run_preview"]


def run_preview(config: Config, *, account_ids: tuple[str, ...], as_json: bool) -> bool:
    """Look at mailboxes and print a row each; return whether all could be looked at.

    No mail is read, and neither the server nor the state is changed.

    Args:
        config: What would be fetched.
        account_ids: Only these; empty: all that have a mailbox.
        as_json: One object a line instead of text.

    Raises:
        ConfigurationError: An account does not exist, or `ca_file` cannot be used.
    """
    for name in account_ids:
        config.require_account(name, named="--account")
    fetcher = Fetcher(
        accounts=config.directory,
        storage=MemoryStorage(),  # never asked: a preview knows no earlier run
        desk=RecordingDesk(),  # likewise
        open_session=session_opener(config),
        clock=lambda: datetime.now(UTC),
    )
    names = account_ids or tuple(account.id for account in config.directory.fetched_accounts())
    worked = True
    for name in names:
        try:
            found = fetcher.preview(name)
        except MailroutingError as error:
            worked = False
            click.echo(printable(f"{name}: {type(error).__name__}: {error}"), err=True)
            if error.hint:
                click.echo(printable(f"  {error.hint}"), err=True)
            continue
        row = {
            "account": name,
            "total": found.total,
            "older": found.older,
            "would_take": found.would_take,
        }
        show([row], as_json=as_json)
    return worked
