"""Say how far the reader looks into a hostile mail.

Past a limit the rest stays as it is, in `Message.raw` and in an opaque part, and a defect says so.
"""

import attrs

__all__ = ["DEFAULT", "ReadingLimits"]


@attrs.frozen(kw_only=True)
class ReadingLimits:
    """Bound the work that one mail may cause. The defaults fit real mail with room to spare.

    Attributes:
        size: Bytes of a mail that are looked into as MIME; of a larger one only the header.
        header_bytes: Bytes of one header.
        header_fields: Fields of one header.
        value_bytes: Bytes of one header field's value, unfolded.
        addresses: Addresses of one header field.
        depth: Multiparts inside multiparts.
        parts: Parts in all.
        boundary: Length of a boundary (RFC 2046 §5.1.1 allows 70).
        attachments: Attachments; later ones are listed without content.
        part_bytes: Decoded bytes of one part.
        decoded_bytes: Decoded bytes of all parts.
        body: Bytes of memory that the bodies may take as text: a character takes 1, 2 or 4, by the
            widest one of the body. What is over it stays an attachment.
        html_text: Bytes of memory that text made from HTML may take.
        text: Characters of the text that the reply view looks at.
    """

    size: int = 50 * 1024 * 1024
    header_bytes: int = 256 * 1024
    header_fields: int = 1000
    value_bytes: int = 16 * 1024
    addresses: int = 200
    depth: int = 20
    parts: int = 500
    boundary: int = 200
    attachments: int = 100
    part_bytes: int = 50 * 1024 * 1024
    decoded_bytes: int = 75 * 1024 * 1024
    body: int = 20 * 1024 * 1024
    html_text: int = 12 * 1024 * 1024
    text: int = 1024 * 1024


DEFAULT = ReadingLimits()
