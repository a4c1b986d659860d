"""Show the public half of the server's signing key, or make a new key file."""

import json
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from settld.core import signatures


class Command(BaseCommand):
    """manage.py signing_key show | new FILE"""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("show", help="the public keys that verify what we signed, the one in use first")
        verbs.add_parser("new", help="write a new private key, for its owner to read alone").add_argument(
            "file"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] == "show":
            pem = signatures.server_public_pem()
            in_use = {"keyId": signatures.key_id(pem), "isInUse": True, "publicKeyPem": pem}
            retired = [
                {"keyId": key_id, "isInUse": False, "publicKeyPem": retired_pem}
                for key_id, retired_pem in settings.RETIRED_SIGNING_KEYS.items()
            ]
            self.stdout.write(json.dumps([in_use, *retired], indent=2))
            return
        key = Ed25519PrivateKey.generate()
        content = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write_new(Path(options["file"]), content)
        pem = signatures.public_pem(key.public_key())
        self.stdout.write(json.dumps({"keyId": signatures.key_id(pem), "publicKeyPem": pem}, indent=2))


def _write_new(path: Path, content: bytes) -> None:
    """Never over a file that is there: it may hold the only copy of a key."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    with os.fdopen(handle, "wb") as file:
        file.write(content)
