"""Calls of the API, each judged: answered below 500, 503 with Retry-After, or broken off while the server is down."""

import time
from collections.abc import Collection
from typing import Any

import httpx

from chaos.ledger import Ledger
from chaos.outages import Outages

PATIENCE_S = 25.0


class Caller:
    """One thread's connection to the server."""

    def __init__(self, url: str, outages: Outages, ledger: Ledger) -> None:
        limits = httpx.Limits(keepalive_expiry=2.0)
        self.http = httpx.Client(base_url=url, timeout=PATIENCE_S, limits=limits, trust_env=False)
        self.outages = outages
        self.ledger = ledger

    def close(self) -> None:
        self.http.close()

    def call(self, method: str, path: str, expected: Collection[int], **more: Any) -> httpx.Response | None:
        """The answer, when it is one of those `expected`; None when the server is away or asks to come again."""
        asked = time.monotonic()
        try:
            answer = self.http.request(method, path, **more)
        except httpx.TransportError as error:
            now = time.monotonic()
            if not self.outages.excuse(asked, now):
                self.ledger.error(f"{method} {path}: {error!r} after {now - asked:.1f} s, and the server was up")
            self.ledger.answers["broken off"] += 1
            time.sleep(0.1)
            return None
        self.outages.answered(asked)
        self.ledger.answers[str(answer.status_code)] += 1
        if answer.status_code in expected:
            return answer
        if answer.status_code != 503 or "retry-after" not in answer.headers:
            self.ledger.error(f"{method} {path}: {answer.status_code} {answer.text[:400]}")
        time.sleep(0.1)
        return None

    def insist(
        self, method: str, path: str, expected: Collection[int], within_s: float = 60.0, **more: Any
    ) -> httpx.Response:
        """The answer, asked for again and again; raises TimeoutError."""
        deadline = time.monotonic() + within_s
        while (answer := self.call(method, path, expected, **more)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path} was not answered within {within_s:.0f} s")
            time.sleep(0.2)
        return answer
