"""How much a form may bring along: more is refused before any of it is read."""

from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

MOST_BYTES: Final = 12 * 1024 * 1024


class BoundedUpload(FileUploadHandler):
    """Stands before the handlers that keep files; it keeps none itself."""

    def handle_raw_input(
        self, input_data: Any, meta: Any, content_length: int, boundary: Any, encoding: Any = None
    ) -> None:
        """Refuse a body that is larger than any form of ours needs."""
        if content_length > MOST_BYTES:
            raise RequestDataTooBig(f"a form may bring at most {MOST_BYTES} bytes")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Pass it on."""
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Leave the file to the next handler."""
