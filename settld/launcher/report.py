"""What a person reads when everything runs: where to look, how to get in, what to try."""

import json
from collections.abc import Mapping
from typing import Any

from settld.launcher.console import plain
from settld.launcher.home import Home


def show_report(*, home: Home, environment: Mapping[str, str], port: int, seconds: float) -> None:
    """Print the address, the demo's logins and tokens, and three commands to try next."""
    base = f"http://localhost:{port}"
    demo = read_demo(home)
    token = environment.get("SETTLD_DEMO_OPS_TOKEN", "")
    plain()
    plain(f"Settld is ready after {seconds:.1f} s (stop with Ctrl-C).")
    plain()
    plain(f"  Console     {base}/console")
    plain(f"  API         {base}/openapi.json")
    for login in _rows(demo, "logins"):
        plain(f"  Login       {login.get('username')}  {login.get('password')}   {login.get('role', '')} "
              f"{login.get('tenantId', '')}".rstrip())  # fmt: skip
    for tenant in _rows(demo, "tenants"):
        if tenant.get("apiKey"):
            plain(f"  API token   {tenant['apiKey']}   (tenant {tenant.get('tenantId')})")
    if token:
        plain(f"  Ops token   {token}")
    plain(f"  State       {home.root}  (logs in {home.logs})")
    plain()
    plain("  Try next:")
    for command in _next_commands(demo, base=base, token=token):
        plain(f"    {command}")
    plain()


def read_demo(home: Home) -> dict[str, Any]:
    """What `manage.py demo` wrote down about the world it made; empty when there is none."""
    try:
        demo = json.loads(home.demo.read_text())
    except (OSError, ValueError):
        return {}
    return demo if isinstance(demo, dict) else {}


def _rows(demo: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    rows = demo.get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _next_commands(demo: Mapping[str, Any], *, base: str, token: str) -> list[str]:
    if isinstance(given := demo.get("next"), list) and given:
        return [str(command) for command in given[:3]]
    tenants = [tenant.get("tenantId") for tenant in _rows(demo, "tenants")]
    tenant = next((str(name) for name in tenants if name), "tenant_default")
    headers = f"-H 'x-proxy-tenant-id: {tenant}' -H 'x-proxy-ops-token: {token}'"
    return [
        f"curl -s {headers} '{base}/ops/status'",
        f"curl -s {headers} '{base}/ops/audit?limit=5'",
        f"curl -s {headers} '{base}/ops/finance/billing/plan'",
    ]
