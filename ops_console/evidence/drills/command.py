"""What the evidence commands have in common: how they end, and what they print."""

import argparse
import re
import sys
from dataclasses import dataclass
from types import MethodType
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ops_console.evidence.drills import flags, sealing
from ops_console.evidence.drills.errors import DrillStopped
from ops_console.evidence.drills.redaction import redacted

FAILED = 2
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_UNKNOWN = "unrecognized arguments:"


@dataclass(frozen=True)
class Outcome:
    """A sealed document, where it belongs, and what speaks against it."""

    document: dict[str, Any]
    failures: list[str]
    out: str | None


class OfflineCommand(BaseCommand):
    """A command without database or system checks, for which wrong usage is 1: 2 means failed checks."""

    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, allow_abbrev=False, **kwargs)
        parser.error = MethodType(_refuse_usage, parser)  # type: ignore[method-assign]  # Django makes the parser itself
        return parser


class DrillCommand(OfflineCommand):
    """A command that calls a live server: exit 0 pass, 2 checks failed, 1 nothing could be said."""

    def add_arguments(self, parser: CommandParser) -> None:
        flags.add_common(parser)
        self.add_flags(parser)

    def add_flags(self, parser: CommandParser) -> None:
        """Add the command's own flags."""
        raise NotImplementedError

    def perform(self, setting: flags.Setting) -> Outcome:
        """Make the calls and seal what they showed."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        token = str(options["ops_token"]).strip()
        try:
            outcome = self.perform(flags.read_common(options))
            text = sealing.text_of(outcome.document)
            if outcome.out is not None:
                sealing.write(outcome.out, text)
        except DrillStopped as stopped:
            raise CommandError(redacted(str(stopped), token)) from None
        self.stdout.write(text, ending="")
        for failure in outcome.failures:
            self.stderr.write(redacted(f"failed: {failure}", token))
        if outcome.failures:
            sys.exit(FAILED)


def _refuse_usage(parser: CommandParser, message: str) -> NoReturn:
    """Say what is wrong with the usage without repeating any value: one of them may be the token."""
    if message.startswith(_UNKNOWN):
        names = [word.split("=")[0] for word in message.removeprefix(_UNKNOWN).split() if word[:2] == "--"]
        message = f"{_UNKNOWN} {' '.join(names) or '(values without a flag)'}"
    message = _QUOTED.sub("(hidden)", message)
    if not parser.called_from_command_line:
        raise CommandError(f"Error: {message}")
    argparse.ArgumentParser.print_usage(parser, sys.stderr)
    argparse.ArgumentParser.exit(parser, 1, f"{parser.prog}: error: {message}\n")
    raise AssertionError("exit does not return")
