"""A provider that always gives the same answer at once, so that what is measured is ours and not its.

One process beside the product; it makes an open checkout session out of what it is sent, counts how often
each key came, and tells the count at /told.
"""

import asyncio
import contextlib
import json
import multiprocessing
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

_fork = multiprocessing.get_context("fork")


class Provider:
    """The process, as its parent sees it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def told(self) -> dict[str, int]:
        """How many sessions it was asked for, and under how many keys."""
        with urllib.request.urlopen(f"{self.url}/told", timeout=10) as answer:
            found: dict[str, int] = json.load(answer)
        return found


@contextlib.contextmanager
def running() -> Iterator[Provider]:
    """Serve until the block ends."""
    ours, theirs = _fork.Pipe(duplex=False)
    process = _fork.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Provider(ours.recv())
    finally:
        process.terminate()
        process.join(5)


def _serve(pipe: "multiprocessing.connection.Connection") -> None:
    keys: Counter[str] = Counter()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
                }
                body = await reader.readexactly(int(headers.get("content-length") or 0))
                writer.write(_response(first, headers, body, keys))
                await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def _response(first: str, headers: dict[str, str], body: bytes, keys: Counter[str]) -> bytes:
    method, path, _ = first.split(" ", 2)
    told: dict[str, Any]
    if method == "POST" and path == "/v1/checkout/sessions":
        key = headers["idempotency-key"]
        keys[key] += 1
        told = _session(key, dict(parse_qsl(body.decode())))
    else:
        told = {"asked": sum(keys.values()), "keys": len(keys)}
    content = json.dumps(told).encode()
    lines = (
        "HTTP/1.1 200 OK",
        "content-type: application/json",
        f"content-length: {len(content)}",
        f"date: {formatdate(usegmt=True)}",
        "request-id: req_bench",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def _session(key: str, sent: dict[str, str]) -> dict[str, Any]:
    """The session that these parameters make; its id is a function of the key, as a repeat must find it."""
    labels = {name[9:-1]: value for name, value in sent.items() if name.startswith("metadata[")}
    return {
        "id": f"cs_test_{key[:40]}",
        "object": "checkout.session",
        "status": "open",
        "mode": sent["mode"],
        "payment_status": "unpaid",
        "customer": sent.get("customer"),
        "customer_details": None,
        "subscription": None,
        "invoice": None,
        "payment_intent": None,
        "payment_link": None,
        "client_reference_id": sent["client_reference_id"],
        "created": int(time.time()),
        "expires_at": int(sent["expires_at"]),
        "url": f"https://checkout.stripe.example/{key[:40]}",
        "amount_total": 4900,
        "currency": "usd",
        "livemode": False,
        "metadata": labels,
    }
