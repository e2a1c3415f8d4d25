"""Run the accounts of a configuration, and show how far it is."""

import sqlite3
from collections.abc import Iterator
from functools import partial

import click

from mailrouting.cli.assembling import assemble, session_opener
from mailrouting.cli.config import Config
from mailrouting.cli.progress import print_report, progress
from mailrouting.cli.state import alone, check_state, create_state, naming_state
from mailrouting.fetch import Fetcher, FetchReport, RunStatus
from mailrouting.session import SessionOpener
from mailrouting.stores.sqlite import SqliteStorage

__all__ = ["OVERLAPPED", "WORKER", "run_fetch"]

WORKER = "mailrouting fetch"
OVERLAPPED = "another fetch is at work"


def run_fetch(
    config: Config,
    *,
    account_ids: tuple[str, ...],
    due: bool,
    accept_rescan: bool,
    as_json: bool,
) -> bool:
    """Fetch the accounts and report each; return whether all of them succeeded.

    While another fetch is at work on the state, all are skipped, which is no failure.

    Args:
        config: What to fetch into what.
        account_ids: Only these; empty: all that have a mailbox.
        due: Only those whose time has come; not together with `account_ids`.
        accept_rescan: Take in old mail that a server's new numbering brings up.
        as_json: One object a line instead of text.

    Raises:
        ConfigurationError: An account does not exist, or `ca_file` or `state` cannot be used;
            nothing was fetched.
        StorageUnavailableError: The state is busy or away.
    """
    for name in account_ids:
        config.require_account(name, named="--account")
    names = account_ids or tuple(account.id for account in config.directory.fetched_accounts())
    open_session = session_opener(config)
    named = f"{config.path}: state"
    check_state(config.state, named=named)
    with alone(config.state, named=named) as is_alone:
        if not is_alone:
            click.echo(f"mailrouting: {OVERLAPPED} on {config.state}, this one ends", err=True)
            for name in names:
                report = FetchReport(account_id=name, status=RunStatus.SKIPPED, because=OVERLAPPED)
                print_report(report, state=config.state, as_json=as_json)
            return True
        create_state(config.state, named=named)
        with naming_state(config.state):
            return _run(
                config,
                open_session,
                account_ids=account_ids,
                due=due,
                accept_rescan=accept_rescan,
                as_json=as_json,
            )


def _run(
    config: Config,
    open_session: SessionOpener,
    *,
    account_ids: tuple[str, ...],
    due: bool,
    accept_rescan: bool,
    as_json: bool,
) -> bool:
    """Run the accounts of these ids, or all, or those that are due."""
    worked = True
    names = account_ids or tuple(account.id for account in config.directory.fetched_accounts())
    with (
        SqliteStorage(config.state) as storage,
        progress(state=config.state, as_json=as_json) as (listener, show),
    ):
        # Alone, whatever an earlier run still holds was held by a process that is dead.
        storage.abandon(WORKER)
        fetcher = assemble(config, storage, open_session, listener=listener, worker=WORKER)
        run = partial(fetcher.run, accept_rescan=accept_rescan)
        for report in fetcher.run_due() if due else map(run, names):
            worked = worked and report.status is not RunStatus.FAILED and report.error is None
            show(report)
        for report in _pushed(fetcher, config, account_ids):
            show(report)
    return worked


def _pushed(
    fetcher: Fetcher[sqlite3.Connection], config: Config, account_ids: tuple[str, ...]
) -> Iterator[FetchReport]:
    """Convert what `accept` has kept for accounts that have no mailbox: for these, or for all."""
    for account in config.directory.accounts:
        is_wanted = not account_ids or account.id in account_ids
        if is_wanted and account.mailbox is None and account.enabled:
            converted = fetcher.convert([account.id])
            if converted:
                yield FetchReport(account_id=account.id, status=RunStatus.DONE, converted=converted)
