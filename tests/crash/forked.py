"""A process that dies at a failpoint: a fork of this one, with sessions of its own, killed with SIGKILL."""

import os
import signal
import traceback
from collections.abc import Callable
from typing import Any

from django.db import connections

from settld.core import failpoints


def dies_at(point: str, act: Callable[[], Any]) -> None:
    """Do something in a process that is killed as it passes a point; passing it not is a failure."""
    connections.close_all()  # a session that both processes hold would be closed by the death of one
    child = os.fork()
    if not child:
        _live_and_die(point, act)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"it never came to {point}"
    assert os.WTERMSIG(status) == signal.SIGKILL, (point, status)


def _live_and_die(point: str, act: Callable[[], Any]) -> None:
    def kill(passed: str) -> None:
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        with failpoints.watched(kill):
            print("it answered", act())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)
