"""The command line of each process of a deployment."""

import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def web(*, host: str, port: int, workers: int | None = None) -> list[str]:
    """The production server: a process per core, one request at a time in each, a queue in the kernel.

    One blocking thread per worker keeps one database connection per worker, which came out fastest.
    """
    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port),
        "--workers", str(workers or min(4, cores())), "--blocking-threads", "1", "--backlog", "2048",
        "--backpressure", "256", "--http", "1", "--respawn-failed-workers", "--workers-kill-timeout", "10",
        "--no-ws", "--log-level", "warning", "settld.wsgi:application",
    ]  # fmt: skip


def worker() -> list[str]:
    """The Celery worker; prefork, so that a killed task takes nothing else with it."""
    return [
        sys.executable, "-m", "celery", "-A", "settld.celery:app", "worker",
        "--concurrency", "2", "--loglevel", "INFO", "--without-mingle", "--without-gossip",
    ]  # fmt: skip


def beat(*, schedule: Path) -> list[str]:
    """Celery beat; its schedule is code, the file only remembers last runs."""
    return [
        sys.executable, "-m", "celery", "-A", "settld.celery:app", "beat",
        "--loglevel", "INFO", "--schedule", str(schedule), "--pidfile", "",
    ]  # fmt: skip


def simulator(*, port: int, data: Path) -> list[str]:
    """The stand-in for Stripe."""
    return [
        sys.executable, "-m", "settld.stripe_simulator",
        "--host", "127.0.0.1", "--port", str(port), "--data", str(data),
    ]  # fmt: skip


def manage(*arguments: str) -> list[str]:
    """A management command."""
    return [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
