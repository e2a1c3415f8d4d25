"""Put together what runs the accounts of a configuration."""

import random
import sqlite3
from datetime import UTC, datetime

from mailrouting.cli.config import Config
from mailrouting.connect import opener, tls_context
from mailrouting.errors import ConfigurationError
from mailrouting.fetch import Fetcher
from mailrouting.hooks import Listener
from mailrouting.integrations.reading_helpers import installed_helpers
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.session import SessionOpener
from mailrouting.stores.sqlite import SqliteStorage

__all__ = ["assemble", "session_opener"]


def session_opener(config: Config) -> SessionOpener:
    """Return what opens the mailboxes of a configuration.

    Raises:
        ConfigurationError: `ca_file` cannot be used.
    """
    try:
        context = tls_context(ca_file=config.ca_file)
    except ConfigurationError as error:
        raise ConfigurationError(f"{config.path}: ca_file: {error}", hint=error.hint) from error
    return opener(config.credentials, tls=context)


def assemble(
    config: Config,
    storage: SqliteStorage,
    open_session: SessionOpener,
    *,
    listener: Listener,
    worker: str,
) -> Fetcher[sqlite3.Connection]:
    """Return a fetcher whose tickets stand in the state, beside its intake."""
    return Fetcher(
        accounts=config.directory,
        storage=storage,
        desk=SqliteDesk(config.state, listener=listener),
        open_session=open_session,
        clock=lambda: datetime.now(UTC),
        helpers=installed_helpers(),
        worker=worker,
        jitter=random.random,
    )
