"""Connect, and word what goes wrong with sockets and TLS, for every mail protocol."""

import socket
import ssl

from mailrouting.accounts import ResolvedEndpoint
from mailrouting.errors import MailroutingError
from mailrouting.wire._deadline import Timeouts, Wire
from mailrouting.wire.trouble import Place

__all__ = ["connected", "os_reason", "tls_error"]


def connected(
    endpoint: ResolvedEndpoint, *, tls: ssl.SSLContext, timeouts: Timeouts, place: Place
) -> Wire:
    """Connect, with TLS where the endpoint begins with it.

    Raises:
        ConnectError: The server cannot be reached.
        TlsError: TLS cannot be established or trusted.
    """
    error: MailroutingError
    try:
        return Wire.connect(endpoint, tls=tls, timeouts=timeouts)
    except TimeoutError:
        error = place.unreachable("it did not answer in time")
    except ssl.SSLError as failure:
        error = tls_error(failure, place, command="CONNECT")
    except OSError as failure:
        error = place.unreachable(os_reason(failure))
    except UnicodeError:
        error = place.unreachable("its name is no host name")
    raise error


def tls_error(failure: ssl.SSLError, place: Place, *, command: str) -> MailroutingError:
    """Make the error for a failed handshake."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return place.untrusted(failure.verify_message, command=command)
    if isinstance(failure, ssl.SSLEOFError):
        return place.unreachable("it hung up during the TLS handshake", command=command)
    reason = (failure.reason or "handshake failed").replace("_", " ").lower()
    return place.untrusted(
        reason,
        command=command,
        hint="Check that this port speaks TLS from the start, and TLS 1.2 or later.",
    )


def os_reason(failure: OSError) -> str:
    """Say in a few words what the system said."""
    if isinstance(failure, socket.gaierror):
        return "its name is unknown"
    return (failure.strerror or type(failure).__name__).lower()
