"""Check evidence (artifact, packet or pack) offline: exit 0 valid, 2 invalid, 1 usage."""

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ops_console.evidence.drills.command import OfflineCommand
from settld import evidence_verifier


class Command(OfflineCommand):
    """manage.py ops_evidence_verify --file FILE [--public-key-file PEM]

    The same code as `python -m settld.evidence_verifier`.
    """

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", action="append", required=True, help="JSON or zip; may repeat")
        parser.add_argument("--public-key-file", help="the signer's Ed25519 public keys, in PEM")

    def handle(self, *args: Any, **options: Any) -> None:
        code, lines = evidence_verifier.run(options["file"], options["public_key_file"])
        if code == evidence_verifier.USAGE:
            raise CommandError(" ".join(lines).removeprefix("error: "))
        self.stdout.write("\n".join(lines))
        if code != evidence_verifier.VALID:
            sys.exit(code)
