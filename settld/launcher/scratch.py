"""Servers and settings that last for one command or one test run."""

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from settld.launcher import commands
from settld.launcher.home import Home, open_home
from settld.launcher.postgres import start_postgres
from settld.launcher.secrets_store import new_signing_key


@contextlib.contextmanager
def scratch_home() -> Iterator[Home]:
    """A state folder that goes away again."""
    folder = Path(tempfile.mkdtemp(prefix="settld-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)  # ours alone, and PostgreSQL's own user passes through
    try:
        yield open_home(folder / "home")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_settings(home: Home) -> dict[str, str]:
    """Settings of SETTLD_ENV=test, with secrets made for this once."""
    return {
        "SETTLD_ENV": "test",
        "SETTLD_HOME": str(home.root),
        "SECRET_KEY": secrets.token_urlsafe(50),
        "SETTLD_KEY_PEPPERS": f"test:{secrets.token_urlsafe(32)}",
        "SETTLD_SIGNING_KEY_PEM": new_signing_key(),
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    }


def manage_on_scratch(arguments: list[str]) -> int:
    """Run a management command against an empty database made for it (DATABASE_URL, when given, is used)."""
    with scratch_home() as home:
        environment = dict(os.environ) | test_settings(home) | {"DJANGO_SETTINGS_MODULE": "settld.settings"}
        server = None if os.environ.get("DATABASE_URL") else start_postgres(home, durable=False)
        try:
            if server is not None:
                environment["DATABASE_URL"] = server.url()
                environment["DATABASE_OWNER_URL"] = server.url(role="postgres")
            return subprocess.run(commands.manage(*arguments), env=environment, check=False).returncode
        finally:
            if server is not None:
                server.stop()
