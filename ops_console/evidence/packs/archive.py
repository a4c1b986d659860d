"""A zip whose bytes follow from its members alone."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any, Final

EPOCH: Final = (1980, 1, 1, 0, 0, 0)
PLAIN_FILE: Final = 0o100644 << 16
UNIX: Final = 3


def zipped(members: Mapping[str, bytes]) -> bytes:
    """Bind members by name. Nothing is compressed: zlib's bytes differ from version to version."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr = UNIX, PLAIN_FILE
            archive.writestr(info, members[name])
    return buffer.getvalue()


def written(value: Any) -> bytes:
    """Write a member for people and machines: indented, keys in order."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
