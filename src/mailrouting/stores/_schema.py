"""Lay out the tables of our SQL stores, and lift older layouts to the present one (floor 6)."""

from mailrouting.errors import StorageError
from mailrouting.stores._executor import Executor, SqlDialect

__all__ = ["VERSION", "migrate"]

# One entry a version, never changed once released: entry n lifts version n to n + 1.
_MIGRATIONS = (
    (
        # A lease that is given back has no end; its token stays, because it must grow for ever.
        """CREATE TABLE mailrouting_mailbox (
            id {identity},
            account_id {text} NOT NULL,
            protocol {text} NOT NULL,
            folder {text} NOT NULL,
            lease_token {integer} NOT NULL DEFAULT 0,
            lease_owner {text},
            lease_expires_at {integer},
            generation {integer},
            uidvalidity {integer},
            uidnext {integer},
            cutoff {integer},
            UNIQUE (account_id, protocol, folder)
        )""",
        """CREATE TABLE mailrouting_intake (
            id {identity},
            account_id {text} NOT NULL,
            identity_version {integer} NOT NULL,
            fingerprint {text} NOT NULL,
            delivery {text} NOT NULL,
            content {text} NOT NULL,
            size {integer} NOT NULL,
            state {text} NOT NULL,
            attempts {integer} NOT NULL DEFAULT 0,
            stored_at {integer} NOT NULL,
            received_at {integer},
            next_attempt_at {integer},
            claim_token {integer} NOT NULL DEFAULT 0,
            claimed_by {text},
            claimed_until {integer},
            failure {text},
            outcome_kind {text},
            outcome {text},
            envelope {text},
            UNIQUE (account_id, fingerprint, identity_version)
        )""",
        "CREATE INDEX mailrouting_intake_open ON mailrouting_intake (id) WHERE outcome_kind IS NULL",
        "CREATE INDEX mailrouting_intake_account ON mailrouting_intake (account_id, id)",
        "CREATE INDEX mailrouting_intake_state ON mailrouting_intake (state, id)",
        "CREATE INDEX mailrouting_intake_content ON mailrouting_intake (content, id)",
        # Apart from its row, so that looking through rows does not read mail.
        """CREATE TABLE mailrouting_raw (
            intake_id {integer} PRIMARY KEY REFERENCES mailrouting_intake (id),
            raw {blob} NOT NULL
        )""",
        """CREATE TABLE mailrouting_position (
            mailbox_id {integer} NOT NULL REFERENCES mailrouting_mailbox (id),
            generation {integer} NOT NULL,
            uid {text} NOT NULL,
            intake_id {integer} REFERENCES mailrouting_intake (id),
            acknowledged {integer} NOT NULL DEFAULT 0,
            PRIMARY KEY (mailbox_id, generation, uid)
        )""",
        """CREATE INDEX mailrouting_position_open
            ON mailrouting_position (mailbox_id, generation) WHERE acknowledged = 0""",
        "CREATE INDEX mailrouting_position_intake ON mailrouting_position (intake_id)",
        """CREATE TABLE mailrouting_thread (
            id {identity},
            message_id {text} NOT NULL,
            ticket {text} NOT NULL,
            account_id {text} NOT NULL,
            sent {integer} NOT NULL,
            UNIQUE (message_id, ticket, account_id, sent)
        )""",
        """CREATE TABLE mailrouting_health (
            account_id {text} PRIMARY KEY,
            health {text} NOT NULL
        )""",
    ),
    (
        "ALTER TABLE mailrouting_mailbox ADD COLUMN first_uidnext {integer}",
        "ALTER TABLE mailrouting_mailbox ADD COLUMN lease_taken_at {integer}",
        "ALTER TABLE mailrouting_intake ADD COLUMN claimed_at {integer}",
        "ALTER TABLE mailrouting_intake ADD COLUMN reopened {integer} NOT NULL DEFAULT 0",
        "ALTER TABLE mailrouting_intake ADD COLUMN has_raw {integer} NOT NULL DEFAULT 1",
        "ALTER TABLE mailrouting_intake ADD COLUMN is_backlog {integer} NOT NULL DEFAULT 0",
        # A row with a key has no bytes of its own: they are in the spool.
        "ALTER TABLE mailrouting_raw ADD COLUMN spool_key {text}",
        """CREATE INDEX mailrouting_raw_spooled
            ON mailrouting_raw (spool_key) WHERE spool_key IS NOT NULL""",
        "CREATE INDEX mailrouting_intake_delivery ON mailrouting_intake (account_id, delivery)",
        """CREATE INDEX mailrouting_intake_account_open
            ON mailrouting_intake (account_id, id) WHERE outcome_kind IS NULL""",
        """CREATE INDEX mailrouting_intake_quarantined
            ON mailrouting_intake (id) WHERE outcome_kind = 'quarantined'""",
        "CREATE INDEX mailrouting_intake_kept ON mailrouting_intake (stored_at) WHERE has_raw = 1",
        # What waits is found by the index of open rows, and most rows are done.
        "DROP INDEX mailrouting_intake_state",
        """CREATE INDEX mailrouting_position_latest
            ON mailrouting_position (mailbox_id, generation, length(uid), uid)""",
        """CREATE TABLE mailrouting_desk_health (
            desk {text} PRIMARY KEY,
            health {text} NOT NULL
        )""",
        """CREATE TABLE mailrouting_pause (
            account_id {text} PRIMARY KEY,
            because {text} NOT NULL,
            since {integer} NOT NULL
        )""",
        """CREATE TABLE mailrouting_hit (
            bucket {text} NOT NULL,
            counted {text} NOT NULL,
            hit_at {integer} NOT NULL
        )""",
        "CREATE INDEX mailrouting_hit_counted ON mailrouting_hit (bucket, counted, hit_at)",
        "CREATE INDEX mailrouting_hit_age ON mailrouting_hit (bucket, hit_at)",
    ),
)

VERSION = len(_MIGRATIONS)


def _stored_version(executor: Executor[object], dialect: SqlDialect) -> int:
    if not executor.rows(dialect.has_table, ("mailrouting_schema",)):
        return 0
    versions = executor.rows("SELECT version FROM mailrouting_schema", ())
    return versions[0][0] if versions else 0


def migrate(executor: Executor[object], dialect: SqlDialect) -> None:
    """Create the tables, or lift them to the present version. Idempotent; one transaction.

    Raises:
        StorageError: A newer mailrouting has lifted them further.
    """
    if _stored_version(executor, dialect) != VERSION:
        with executor.begin():
            # Again, under the write lock: another process may have been faster.
            _lift(executor, dialect, _stored_version(executor, dialect))


def _lift(executor: Executor[object], dialect: SqlDialect, stored: int) -> None:
    if stored > VERSION:
        raise StorageError(
            f"the tables have schema version {stored}, this mailrouting knows {VERSION}",
            hint="Upgrade mailrouting, or open a copy from before the upgrade.",
        )
    types = {
        "identity": dialect.identity,
        "integer": dialect.integer,
        "text": dialect.text,
        "blob": dialect.blob,
    }
    if stored == 0:
        executor.execute("CREATE TABLE mailrouting_schema (version {integer})".format(**types), ())
        executor.execute("INSERT INTO mailrouting_schema VALUES (0)", ())
    for statement in (each for step in _MIGRATIONS[stored:] for each in step):
        executor.execute(statement.format(**types), ())
    executor.execute("UPDATE mailrouting_schema SET version = ?", (VERSION,))
