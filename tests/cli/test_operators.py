"""What an operator asks of a state: how accounts are, what became of mail, and what to forget."""

import json
import stat

import pytest

from mailrouting.cli.config import read_config
from mailrouting.fetch import Fetcher, FetchLimits
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.records import OutcomeKind, Verdict, VerdictKind
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import FakeClock, FakeMailServer, make_message

AGENT, SUPPORT = "agent@desk.example", "support@desk.example"
SPAM = make_message(subject="Spam", from_="Eve <eve@spam.example>", to=SUPPORT)


class State:
    """Hold a state that has been fetched into."""

    def __init__(self, config):
        self.config = read_config(config)
        self.clock = FakeClock()
        self.server = FakeMailServer()
        self.server.add_mailbox(SUPPORT)
        self.server.grant(AGENT, SUPPORT)

    def fetch(self, **changes):
        """Fetch the account once, filtering spam."""

        def no_spam(message, _):
            if message.subject == "Spam":
                return Verdict(kind=VerdictKind.FILTER, reason="spam")
            return None

        with SqliteStorage(self.config.state) as storage:
            fetcher = Fetcher(
                **{
                    "accounts": self.config.directory,
                    "storage": storage,
                    "desk": SqliteDesk(self.config.state),
                    "open_session": self.server.open_session,
                    "clock": self.clock,
                    "rules": [no_spam],
                    **changes,
                }
            )
            return fetcher.run("support")


@pytest.fixture
def state(config):
    """Return a state with a ticket, a filtered mail and one that waits."""
    state = State(config)
    for raw in (
        make_message(subject="Printer", from_="Carla <carla@customer.example>", to=SUPPORT),
        SPAM,
    ):
        state.server.deliver(raw, to=SUPPORT)
    state.fetch()
    return state


@pytest.fixture
def ask(run, config):
    """Return what runs an operator's command on the state."""
    return lambda *arguments, **options: run(*arguments, "--config", config, **options)


def _objects(done):
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_accounts_says_how_each_is(state, ask):
    """State, since when, last success, next try, and a number for each outcome."""
    [found] = _objects(ask("accounts", "--json"))
    assert found == {
        "account": "support",
        "state": "ok",
        "since": "2026-03-02T09:00:00+00:00",
        "because": None,
        "last_success": "2026-03-02T09:00:00+00:00",
        "next_try": "2026-03-02T09:05:00+00:00",
        "counts": {"created": 1, "filtered": 1},
        "trouble": None,
        "hint": None,
    }


def test_accounts_says_what_is_wrong_and_what_to_do(state, ask):
    """A refused login shows its error, its hint and when it is tried again."""
    state.clock.advance(seconds=300)
    state.server.refuse_login(AGENT)
    state.fetch()
    [found] = _objects(ask("accounts", "--json"))
    assert found["state"] == "auth-failed"
    assert found["last_success"] == "2026-03-02T09:00:00+00:00"
    assert found["trouble"].startswith("AuthenticationError: ")
    assert found["hint"]
    line = ask("accounts").stdout
    assert "account=support  state=auth-failed  since=2026-03-02T09:05:00+00:00" in line
    assert line.count("\n") == 1


def _rename_account(config):
    text = config.read_text("utf-8").replace("[departments.sales]", "[departments.sales2]")
    config.write_text(
        text.replace("accounts.support", "accounts.other")
        .replace('default_account = "support"', 'default_account = "other"')
        .replace('outgoing = "support"', 'outgoing = "other"'),
        "utf-8",
    )


def test_mail_that_waits_of_an_account_that_was_removed_is_shown(state, ask, run, config):
    """Nobody converts it, so it is not passed over in silence."""
    run("accept", "--config", config, "--account", "support", input=make_message(to=SUPPORT))
    _rename_account(config)
    other, found = _objects(ask("accounts", "--json"))
    assert other["account"] == "other"
    assert (found["account"], found["state"], found["counts"]["waiting"]) == (
        "support",
        "removed",
        1,
    )
    assert found.keys() == other.keys()
    assert found["trouble"]
    assert found["hint"]


def test_an_account_that_was_never_fetched_is_new(state, ask, config):
    """Nothing is known, and it has no time of a next try."""
    _rename_account(config)
    [found] = _objects(ask("accounts", "--json"))
    assert (found["account"], found["state"], found["next_try"]) == ("other", "new", None)


def test_a_paused_account_says_so_until_it_is_resumed(state, ask):
    """With who paused it why; it has no next try meanwhile."""
    assert ask("accounts", "pause", "support", "--because", "moving house").exit_code == 0
    [found] = _objects(ask("accounts", "--json"))
    assert (found["state"], found["because"], found["next_try"]) == ("paused", "moving house", None)
    assert ask("accounts", "resume", "support").exit_code == 0
    [found] = _objects(ask("accounts", "--json"))
    assert (found["state"], found["because"]) == ("ok", None)
    again = ask("accounts", "resume", "support")
    assert (again.exit_code, again.output) == (1, "mailrouting: support is not paused\n")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("accounts", "pause", "nobody", "--because", "x"), 2),
        (("accounts", "pause", "support"), 2),
        (("intake", "retry"), 2),
        (("intake", "retry", "1", "--every", "filtered"), 2),
        (("intake", "show", "99"), 1),
        (("intake", "export", "99"), 1),
        (("intake", "erase", "no address", "--yes"), 2),
        (("intake", "show", "9" * 30), 2),
        (("intake", "retry", "9" * 30), 2),
        (("intake", "purge", "--older-than", "nan"), 2),
        (("intake", "purge", "--older-than", "800000"), 2),
        (("intake", "purge", "--older-than", "1e300"), 2),
    ],
)
def test_what_cannot_be_is_refused(state, ask, arguments, status):
    """A wrong name or number, a missing option, a row that is not there: a status and a reason."""
    done = ask(*arguments)
    assert done.exit_code == status
    assert done.output


def test_a_reason_that_is_no_text_pauses_all_the_same(state, ask):
    """Octets of a terminal that are no UTF-8 are replaced."""
    assert ask("accounts", "pause", "support", "--because", "\udcfcber").exit_code == 0
    [found] = _objects(ask("accounts", "--json"))
    assert found["because"] == "\ufffdber"


def test_every_outcome_may_be_asked_for(state, ask):
    """What `accounts` counts can be listed."""
    for kind in OutcomeKind:
        assert ask("intake", "list", "--outcome", kind.value).exit_code == 0


def test_accounts_wants_a_configuration(run):
    """The group itself needs one too."""
    done = run("accounts")
    assert done.exit_code == 2
    assert "Missing option '--config'" in done.output


@pytest.mark.parametrize("arguments", [("accounts",), ("intake", "list")])
def test_before_the_first_fetch_there_is_no_state(ask, config, arguments):
    """None is made by looking."""
    done = ask(*arguments)
    assert done.exit_code == 2
    assert "there is no state yet" in done.output
    assert not (config.parent / "state.sqlite").exists()


def test_intake_list_filters(state, ask):
    """By account, state and outcome, with a limit; without content."""
    both = _objects(ask("intake", "list", "--json"))
    assert [(one["intake"], one["outcome"], one["ticket"]) for one in both] == [
        (1, "created", "1"),
        (2, "filtered", None),
    ]
    assert _objects(ask("intake", "list", "--outcome", "filtered", "--json")) == [both[1]]
    assert _objects(ask("intake", "list", "--limit", "1", "--json")) == [both[0]]
    assert _objects(ask("intake", "list", "--state", "waiting", "--json")) == []
    assert _objects(ask("intake", "list", "--account", "other", "--json")) == []
    assert "Printer" not in ask("intake", "list").output


def test_intake_show_tells_every_step(state, ask):
    """Outcome, reason and trace, for people and as an object."""
    [found] = _objects(ask("intake", "show", "2", "--json"))
    assert (found["outcome"], found["reason"], found["has_raw"]) == ("filtered", "spam", True)
    assert "rules" in found["trace"]
    shown = ask("intake", "show", "2").output
    assert "reason  spam" in shown
    assert "Eve" not in shown


def test_intake_show_tells_how_it_failed(state, ask):
    """A mail that is tried again has its last failure and its next try."""

    def broken(raw, *, limits, helpers):
        raise RecursionError

    state.server.deliver(make_message(subject="Deep"), to=SUPPORT)
    state.fetch(reader=broken)
    [found] = _objects(ask("intake", "show", "3", "--json"))
    assert found["failed_in"] == "read: RecursionError"
    assert found["state"] == "waiting"
    assert found["next_try"]


def test_intake_retry_takes_a_filter_back(state, ask):
    """The row waits again, and the next fetch, without the rule, makes a ticket of it."""
    done = ask("intake", "retry", "2")
    assert (done.exit_code, done.output) == (0, "intake 2: waiting\n")
    state.clock.now = state.clock.now.replace(year=2100)
    state.fetch(rules=[])
    assert [ticket.subject for ticket in SqliteDesk(state.config.state).tickets()] == [
        "Printer",
        "Spam",
    ]


def test_intake_retry_refuses_what_wrote_for_the_host(state, ask):
    """A ticket is for ever; the others that are named are tried."""
    done = ask("intake", "retry", "1", "2", "99")
    assert done.exit_code == 1
    assert done.stdout == "intake 2: waiting\n"
    assert "intake 1: " in done.stderr
    assert "intake 99: " in done.stderr


def test_intake_retry_takes_every_mail_of_an_outcome(state, ask):
    """Without naming one; of one account when it is named."""
    assert ask("intake", "retry", "--every", "filtered", "--account", "other").stdout == ""
    assert ask("intake", "retry", "--every", "filtered").stdout == "intake 2: waiting\n"


def test_intake_export_gives_the_bytes(state, ask, tmp_path):
    """To standard output, or into a new file that only this user may read."""
    assert ask("intake", "export", "2").stdout_bytes == SPAM
    target = tmp_path / "spam.eml"
    assert ask("intake", "export", "2", "--output", str(target)).exit_code == 0
    assert target.read_bytes() == SPAM
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_intake_purge_forgets_the_bytes_of_old_mail(state, ask):
    """Outcome and trace stay; what waits keeps its bytes."""
    assert ask("intake", "purge", "--older-than", "36500").stdout == "0 mails forgotten\n"
    ask("intake", "retry", "2")
    assert ask("intake", "purge", "--older-than", "0").stdout == "1 mails forgotten\n"
    gone = ask("intake", "export", "1")
    assert gone.exit_code == 1
    assert ask("intake", "export", "2").exit_code == 0
    [found] = _objects(ask("intake", "show", "1", "--json"))
    assert (found["outcome"], found["has_raw"]) == ("created", False)


def test_intake_erase_forgets_what_names_an_address(state, ask):
    """It asks first, finds the address however it is written, and leaves other mail alone."""
    refused = ask("intake", "erase", "CARLA@customer.example", input="n\n")
    assert refused.exit_code == 1
    assert "Forget 1 mails for ever?" in refused.output
    done = ask("intake", "erase", "CARLA@Customer.Example", input="y\n")
    assert done.exit_code == 0
    assert "1 mails forgotten" in done.stdout
    assert ask("intake", "export", "1").exit_code == 1
    assert ask("intake", "export", "2").exit_code == 0
    assert ask("intake", "erase", "carla@customer.example", "--yes").stdout == "0 mails forgotten\n"


def test_mail_that_was_erased_and_comes_again_is_known(state, ask):
    """The fingerprint stays: the same mail opens no second ticket."""
    ask("intake", "erase", "carla@customer.example", "--yes")
    raw = state.server.mails(SUPPORT)[0].raw
    state.server.deliver(raw, to=SUPPORT)
    state.fetch(limits=FetchLimits())
    assert len(SqliteDesk(state.config.state).tickets()) == 1
