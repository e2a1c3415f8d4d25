"""Recognise what is signed or encrypted (RFC 8551, RFC 3156). Nothing is opened or checked."""

import re
from collections.abc import Sequence

from mailrouting.reading.message import Protection
from mailrouting.reading.scan import Part

__all__ = ["mail_protection", "part_protection"]

_SMIME = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_SIMPLE = {
    "application/pkcs7-signature": Protection.SMIME_SIGNED,
    "application/x-pkcs7-signature": Protection.SMIME_SIGNED,
    "application/pgp-signature": Protection.PGP_SIGNED,
    "application/pgp-encrypted": Protection.PGP_ENCRYPTED,
}
_ARMOUR = re.compile(r"^-----BEGIN PGP (SIGNED )?MESSAGE-----[ \t]*$", re.MULTILINE)
_ENCRYPTED = frozenset({Protection.SMIME_ENCRYPTED, Protection.PGP_ENCRYPTED})


def part_protection(part: Part) -> Protection | None:
    """Say what sort of signature or encrypted content a part is."""
    full = part.media.full
    if full in _SMIME:
        # RFC 8551 §3.2.2; without a word it is an envelope, the common case.
        kind = part.media.parameters.token("smime-type").lower()
        is_signed = kind in ("signed-data", "certs-only")
        return Protection.SMIME_SIGNED if is_signed else Protection.SMIME_ENCRYPTED
    return _SIMPLE.get(full)


def mail_protection(parts: Sequence[Part], text: str) -> Protection | None:
    """Say how a mail is protected, by its parts and by PGP armour in its text."""
    found = [one for one in map(part_protection, parts) if one]
    found += [one for one in map(_announced, parts) if one]
    armour = _ARMOUR.search(text) if "-----BEGIN PGP " in text else None
    if armour:
        found.append(Protection.PGP_SIGNED if armour[1] else Protection.PGP_ENCRYPTED)
    return next((one for one in found if one in _ENCRYPTED), found[0] if found else None)


def _announced(part: Part) -> Protection | None:
    """Read multipart/signed and multipart/encrypted (RFC 1847), whose parts may be lost."""
    if part.media.main != "multipart":
        return None
    protocol = part.media.parameters.token("protocol").lower()
    if part.media.sub == "encrypted":
        return Protection.PGP_ENCRYPTED
    if part.media.sub == "signed":
        return _SIMPLE.get(protocol)
    return None
