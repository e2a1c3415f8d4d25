"""Answer SASL challenges, for every mail protocol."""

import json
from typing import cast

from mailrouting.accounts import ResolvedEndpoint
from mailrouting.auth import Credential, LoginAttempt, Mechanism, sasl_response

__all__ = ["SaslAnswers"]


class SaslAnswers:
    """Prove an identity once: the response goes out one time, whatever the server asks for.

    Attributes:
        response: The response, not yet in base64. It holds the secret.
        status: The status in a server's error challenge (RFC 7628 §3.2.2), or nothing.
    """

    def __init__(
        self, attempt: LoginAttempt, credential: Credential, *, endpoint: ResolvedEndpoint
    ) -> None:
        self._mechanism = attempt.mechanism
        self._answered = False
        self.response: bytes = sasl_response(
            attempt, credential, host=endpoint.host, port=endpoint.port
        )
        self.status: str = ""

    def initial(self) -> bytes:
        """Return the response, to be sent with the command."""
        self._answered = True
        return self.response

    def answer(self, challenge: bytes) -> bytes | None:
        """Answer a challenge, both decoded; None ends the exchange.

        The first gets the response unless `initial` gave it out. A second one says why the login
        is refused.
        """
        if not self._answered:
            return self.initial()
        self.status = _status(challenge)
        match self._mechanism:
            case Mechanism.XOAUTH2:
                return b""
            case Mechanism.OAUTHBEARER:
                return b"\x01"  # RFC 7628 §3.2.3
            case _:
                return None


def _status(challenge: bytes) -> str:
    """Return the status in an error challenge (RFC 7628 §3.2.2), or nothing."""
    try:
        told = json.loads(challenge)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(told, dict):
        return ""
    status = cast("dict[str, object]", told).get("status")
    return f"(status {status[:40]})" if isinstance(status, str) and status.isascii() else ""
