class TNEFAttachment:
    data: bytes
    def long_filename(self) -> str: ...

class TNEF:
    attachments: list[TNEFAttachment]
    body: str | bytes | None
    htmlbody: str | bytes | None
    def __init__(self, data: bytes, do_checksum: bool = True) -> None: ...
