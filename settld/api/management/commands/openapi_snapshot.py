"""Write the API description, or check that the committed one is still true."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from settld.api.discovery import description

SNAPSHOT = Path(settings.BASE_DIR) / "docs" / "openapi.json"


class Command(BaseCommand):
    """manage.py openapi_snapshot [--check]"""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="fail when the committed snapshot differs")

    def handle(self, *args: Any, **options: Any) -> None:
        text = json.dumps(description(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        if not options["check"]:
            SNAPSHOT.write_text(text)
            self.stdout.write(f"wrote {SNAPSHOT.relative_to(settings.BASE_DIR)}")
        elif not SNAPSHOT.is_file() or SNAPSHOT.read_text() != text:
            raise CommandError(
                "docs/openapi.json is not what the code describes; run manage.py openapi_snapshot"
            )
        else:
            self.stdout.write("the OpenAPI snapshot is true")
