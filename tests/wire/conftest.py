"""A private CA for servers on loopback."""

import ssl

import pytest
import trustme

from mailrouting.connect import tls_context


@pytest.fixture(scope="session")
def authority():
    """Return a private CA."""
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority):
    """Return a server's TLS context for loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def ca_file(authority, tmp_path_factory):
    """Return the CA's certificate as a file."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
def client_tls(ca_file):
    """Return our context that trusts the CA."""
    return tls_context(ca_file)
