"""Start Settld on one machine: embedded PostgreSQL and Redis, the processes, and their supervisor.

Nothing here imports Django: the launcher prepares the environment that Django's settings read.
Tests use `start_postgres` and `start_redis` for servers of their own.
"""

from settld.launcher.errors import LauncherError
from settld.launcher.postgres import PostgresServer, start_postgres
from settld.launcher.redis_server import RedisServer, start_redis

__all__ = ["LauncherError", "PostgresServer", "RedisServer", "start_postgres", "start_redis"]
