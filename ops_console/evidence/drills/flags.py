"""The flags that the evidence commands share, and what their values may be."""

import argparse
import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Any, Final

from ops_console.evidence.drills.caller import Caller, require_base_url, require_header_safe
from ops_console.evidence.drills.errors import DrillStopped
from ops_console.evidence.drills.redaction import holds
from ops_console.evidence.drills.sealing import Signer, load_signer, require_writable
from settld.core import clock

SWITCH: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
MOST_TEXT: Final = 2_000


@dataclass(frozen=True)
class Setting:
    """What every drill is told: whom to call, how to sign, what time it is, where to write."""

    caller: Caller
    provider_id: str
    signer: Signer | None
    now: dt.datetime
    has_fixed_clock: bool
    out: str | None
    given: dict[str, Any] = field(repr=False, default_factory=dict)

    @property
    def captured_at(self) -> str:
        """Write the instant as evidence carries it."""
        return clock.iso(self.now) or ""


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every drill."""
    parser.add_argument("--ops-token", type=_text, required=True, help="ops token; never written anywhere")
    parser.add_argument("--base-url", type=_text, default="http://127.0.0.1:3000", help="the live server")
    parser.add_argument("--tenant-id", type=_text, default="tenant_default")
    parser.add_argument("--provider-id", type=_text, default="stub_default")
    parser.add_argument("--out", type=_text, help="also write the evidence to this file")
    parser.add_argument("--signing-key-file", type=_text, help="PKCS#8 PEM with an Ed25519 key")
    parser.add_argument("--signature-key-id", type=_text, help="the name to sign under")
    parser.add_argument("--captured-at", type=_instant, help="fixes capturedAt: equal answers, equal hash")


def read_common(options: dict[str, Any]) -> Setting:
    """Check the shared flags; DrillStopped before anything is called."""
    token = options["ops_token"].strip()
    if not token:
        raise DrillStopped("--ops-token must not be empty")
    require_header_safe(token, flag="--ops-token")
    for name, value in options.items():
        if name != "ops_token" and holds(value, token):
            raise DrillStopped(f"the ops token stands in --{name.replace('_', '-')} as well")
    require_writable(options["out"])
    return Setting(
        caller=Caller(
            base_url=require_base_url(options["base_url"]),
            tenant_id=require_header_safe(options["tenant_id"], flag="--tenant-id"),
            ops_token=token,
        ),
        provider_id=required(options["provider_id"], flag="--provider-id"),
        signer=load_signer(options["signing_key_file"], key_id=options["signature_key_id"]),
        now=options["captured_at"] or clock.now(),
        has_fixed_clock=options["captured_at"] is not None,
        out=options["out"],
        given=options,
    )


def required(text: str | None, *, flag: str) -> str:
    """Take a text that must say something."""
    if text is None or not text.strip():
        raise DrillStopped(f"{flag} must not be empty")
    return text.strip()


def add(parser: argparse.ArgumentParser, name: str, kind: Any = None, **more: Any) -> None:
    """Add one flag; without a kind it takes a text."""
    parser.add_argument(name, type=kind or _text, **more)


# --- Kinds of values: none of their faults quotes the value ------------------------------------------
def _text(text: str) -> str:
    if len(text) > MOST_TEXT or "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise argparse.ArgumentTypeError(f"must be a text of at most {MOST_TEXT} characters")
    return text


def switch(text: str) -> bool:
    """Read true or false."""
    if text.strip().lower() not in SWITCH:
        raise argparse.ArgumentTypeError("must be true or false")
    return SWITCH[text.strip().lower()]


def verdict(text: str) -> str:
    """Read pass or fail."""
    if text not in ("pass", "fail"):
        raise argparse.ArgumentTypeError("must be pass or fail")
    return text


def cents(text: str) -> int:
    """Read an amount in minor units."""
    if not re.fullmatch(r"[0-9]{1,16}", text.strip(), re.ASCII) or int(text) > 2**53 - 1:
        raise argparse.ArgumentTypeError("must be whole cents")
    return int(text)


def period(text: str) -> str:
    """Read a month."""
    if not clock.is_period(text):
        raise argparse.ArgumentTypeError("must be a month, YYYY-MM")
    return text


def _instant(text: str) -> dt.datetime:
    try:
        return clock.parse_iso(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be an ISO 8601 date-time with an offset") from None


instant = _instant
