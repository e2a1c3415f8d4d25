"""Make the one TLS context that every connection of a process shares."""

import ssl
from os import PathLike

from mailrouting.errors import ConfigurationError

__all__ = ["tls_context"]


def tls_context(ca_file: str | PathLike[str] | None = None) -> ssl.SSLContext:
    """Make a context that verifies chain and name, with TLS 1.2 or later.

    Make it once and share it: loading the certificates takes milliseconds.

    >>> tls_context().check_hostname
    True

    Args:
        ca_file: PEM file of a private CA that is trusted instead of the system's.

    Raises:
        ConfigurationError: The file cannot be read or holds no certificate.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the CA file {str(ca_file)!r} cannot be used: {error}",
            hint="Name a readable file with certificates in PEM.",
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
