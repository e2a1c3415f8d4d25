"""Every session of ours, real or fake, keeps what `mailrouting.session` promises."""

import ssl
from functools import partial

import pytest
import trustme

from mailrouting.accounts import EmailAccount, Endpoint, FirstRun, InboundSettings, TlsMode
from mailrouting.addresses import NamedAddress
from mailrouting.auth import MailProtocol, parse_login
from mailrouting.connect import StaticCredentials, connect, tls_context
from mailrouting.testing.conformance import SessionConformance
from mailrouting.testing.loopback import LoopbackImap, LoopbackPop3

USER = "help@example.org"


def open_at(endpoint, username, *, secret, tls, protocol=MailProtocol.IMAP):
    """Open a session."""
    account = EmailAccount(
        id="support",
        address=NamedAddress.parse("help@example.org"),
        inbound=InboundSettings(
            protocol=protocol,
            endpoint=endpoint,
            login=parse_login(username),
            first_run=FirstRun.all(),
        ),
    )
    return connect(account, StaticCredentials({"support": secret}), tls=tls)


class TestFakeImap(SessionConformance):
    @pytest.fixture(autouse=True)
    def _hands(self, fake_hands):
        self.hands_of = fake_hands

    def mailbox(self, fresh_dir):
        return self.hands_of()


class TestFakePop3(SessionConformance):
    @pytest.fixture(autouse=True)
    def _hands(self, fake_hands):
        self.hands_of = fake_hands

    def mailbox(self, fresh_dir):
        return self.hands_of(protocol=MailProtocol.POP3)


class OnLoopback(SessionConformance):
    """One of our clients, on the fake server's loopback face."""

    protocol = MailProtocol.IMAP
    without = ()

    def mailbox(self, fresh_dir):
        return self.made

    @pytest.fixture(autouse=True)
    def _server(self, fake_hands, authority_and_tls):
        server_tls, client_tls = authority_and_tls

        def open_session(server):
            return open_at(
                self.face.endpoint,
                USER,
                secret=fake_hands.secret,
                tls=client_tls,
                protocol=self.protocol,
            )

        self.made = fake_hands(open_session, protocol=self.protocol, without=self.without)
        face = LoopbackImap if self.protocol is MailProtocol.IMAP else LoopbackPop3
        with face(self.made.server, tls=server_tls) as self.face:
            yield


@pytest.fixture(scope="module")
def authority_and_tls(tmp_path_factory):
    """Return a server's and a client's TLS context that fit."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return server, tls_context(path)


class TestImap(OnLoopback):
    pass


class TestImapWithoutMove(OnLoopback):
    without = ("MOVE",)


class TestImapWithoutAnything(OnLoopback):
    without = ("MOVE", "UIDPLUS", "UNSELECT", "SASL-IR", "ID")


class TestPop3(OnLoopback):
    protocol = MailProtocol.POP3


class TestPop3WithoutAnything(OnLoopback):
    protocol = MailProtocol.POP3
    without = ("PIPELINING", "TOP", "CAPA")


@pytest.mark.dovecot
class TestDovecot(SessionConformance):
    protocol = MailProtocol.IMAP

    @pytest.fixture(autouse=True)
    def _server(self, dovecot, dovecot_hands):
        self.dovecot, self.hands_of = dovecot, dovecot_hands

    def mailbox(self, fresh_dir):
        open_session = partial(
            open_at,
            Endpoint(self.dovecot.host, self.port, TlsMode.IMPLICIT),
            secret=self.dovecot.password,
            tls=tls_context(self.dovecot.ca_file),
            protocol=self.protocol,
        )
        username = f"{fresh_dir.name}-{self.protocol.value}@kit.example"
        return self.hands_of(self.dovecot, username, open_session, protocol=self.protocol)

    @property
    def port(self):
        """Return the port that the protocol has."""
        return self.dovecot.tls_port


@pytest.mark.dovecot
class TestDovecotPop3(TestDovecot):
    protocol = MailProtocol.POP3

    @property
    def port(self):
        return self.dovecot.pop3_tls_port
