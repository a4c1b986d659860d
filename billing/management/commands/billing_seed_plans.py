"""manage.py billing_seed_plans plans.json: publish plans, their prices and what they grant."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.services import catalog_seed
from settld.core.errors import Refusal
from settld.core.principals import Actor


class Command(BaseCommand):
    """Publish the plans of a JSON file; a fault anywhere publishes nothing and exits 1."""

    help = "Publish plans, prices and entitlements from a JSON file, all of them or none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", type=Path, help='{"plans": [{"code", "name", "corePrice", "entitlements"}]}'
        )
        parser.add_argument(
            "--trust-file",
            action="store_true",
            help="take amounts from the file and ask the provider nothing",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.BILLING.enabled:
            raise CommandError("checkout billing is off: set BILLING_ENABLED=1")
        try:
            document = json.loads(options["file"].read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CommandError(f"cannot read {options['file']}: {error}") from error
        price_of = catalog_seed.from_document if options["trust_file"] else catalog_seed.from_provider
        try:
            done = catalog_seed.publish(
                document, price_of=price_of, actor=Actor.system("command:billing_seed_plans")
            )
        except catalog_seed.SeedInvalid as refusal:
            lines = [f"  {place}: {fault}" for place, fault in sorted(refusal.faults.items())]
            raise CommandError("\n".join([refusal.message, *lines])) from refusal
        except Refusal as refusal:
            raise CommandError(refusal.message) from refusal
        self.stdout.write(f"{done.created} created, {done.updated} updated")
