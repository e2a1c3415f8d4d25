"""Name what can be wrong with a mail."""

import enum
from typing import Self

__all__ = ["Defect"]


class Defect(enum.StrEnum):
    """Name what is wrong with a mail; `sentence` explains it."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        """Make a member from its name and its sentence."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    READER_FAULT = "reader-fault", "The reader failed on this mail; what it failed on is missing."
    SIZE_LIMIT = "size-limit", "The mail is larger than the reader looks into."
    AMBIGUOUS_FROM = "ambiguous-from", "There are several From fields or several addresses in From."
    ADDRESS_IN_NAME = (
        "address-in-name",
        "The display name of From holds another address, or characters that turn its direction.",
    )
    MISSING_FROM = "missing-from", "There is no From field with an address."
    NO_HEADER = "no-header", "The mail begins without any header field."
    MBOX_LINE = "mbox-line", "An mbox separator line stands before the header."
    LEADING_BLANK_LINES = "leading-blank-lines", "Blank lines stand before the header."
    MISSING_BLANK_LINE = "missing-blank-line", "No blank line separates the header from the body."
    BARE_CR = "bare-cr", "A carriage return stands alone in the header; it was read as a line end."
    NUL = "nul", "NUL characters stand in the header; they were left out."
    SPACE_BEFORE_COLON = "space-before-colon", "White space stands before a header field's colon."
    HEADER_LIMIT = "header-limit", "The header has too many fields or bytes; the rest is not read."
    VALUE_LIMIT = "value-limit", "A header field is too long; its end is not read."
    ADDRESS_LIMIT = "address-limit", "A header field has too many addresses; the rest is not read."
    DUPLICATE_FIELD = "duplicate-field", "A header field that may stand once stands several times."
    BAD_DATE = "bad-date", "The date cannot be read, or lies outside 1970 to 2100."
    DEPTH_LIMIT = "depth-limit", "Parts are nested too deeply; the inner ones stay one attachment."
    PART_LIMIT = "part-limit", "There are too many parts; the rest stays one attachment."
    BAD_BOUNDARY = (
        "bad-boundary",
        "A multipart has no boundary of its own, or no part begins with it.",
    )
    MISSING_END = "missing-end", "A multipart has no closing boundary."
    BAD_ENCODING = (
        "bad-encoding",
        "A transfer encoding is unknown or broken; it was read as far as possible.",
    )
    UNKNOWN_CHARSET = (
        "unknown-charset",
        "A character set is unknown or refused; another one was used.",
    )
    BAD_CHARSET = "bad-charset", "A text does not fit its character set; another one was used."
    FILENAME_CONFLICT = (
        "filename-conflict",
        "An attachment has several names; the first one was taken.",
    )
    ATTACHMENT_LIMIT = (
        "attachment-limit",
        "There are too many attachments; the later ones are listed without content.",
    )
    DECODED_LIMIT = (
        "decoded-limit",
        "The decoded parts are too large; some are listed without content.",
    )
    BODY_LIMIT = (
        "body-limit",
        "A body is too long for the text; the text is cut, an attachment or the HTML has all of it.",
    )
    TNEF_CLOSED = (
        "tnef-closed",
        "A winmail.dat was not opened: no reader for it was passed in, or it is broken.",
    )
    HELPER_FAULT = "helper-fault", "A helper that was passed in failed; the mail was read without."
    TEXT_LIMIT = "text-limit", "The text is too long; the reply view covers its beginning only."
