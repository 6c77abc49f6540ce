"""One way to the server: asks again where that is safe, and turns problems into errors."""

import hashlib
import random
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from client.errors import NudgeError, UnreachableError
from client.sendable import refusal

USER_AGENT = "nudge-client/0.1"
RETRIES = 4
LONGEST_PAUSE_S = 30.0


class Transport:
    """HTTP to one server. Safe requests (reads, and submits that carry a key) are asked again after a broken
    connection or a 503, waiting as long as `Retry-After` says."""

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ValueError(f"{url!r} is no address of a server; write it like http://127.0.0.1:8080.")
        self.url = url.rstrip("/")
        self.http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
        )

    def get(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **params: Any,
    ) -> httpx.Response:
        request = self.http.build_request(
            "GET", path, params=_given(params), headers=headers, timeout=timeout or self.http.timeout
        )
        return self.send(request, again=True)

    def delete(self, path: str, *, if_match: str | None = None) -> None:
        self.change("DELETE", path, if_match=if_match)

    def change(
        self, method: str, path: str, body: Any = None, *, if_match: str | None = None, new: bool = False
    ) -> httpx.Response:
        """PUT, PATCH or DELETE: only what still has the ETag `if_match`, or only what is `new`. Repeated until it is
        known to have arrived, unless there is such a condition: what arrived unnoticed would fail the second time."""
        headers = _given({"If-Match": if_match, "If-None-Match": "*" if new else None})
        return self.send(self._written(method, path, body, headers=headers), again=not headers)

    def post(
        self,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        params: Mapping[str, Any] | None = None,
        again: bool = False,
        timeout: float | None = None,
    ) -> httpx.Response:
        """POST JSON. With an idempotency `key` (or `again`, for what may safely happen twice) it is repeated
        until it is known to have arrived; the same key gets the same answer."""
        headers = {"Idempotency-Key": key} if key else {}
        request = self._written(
            "POST", path, body, params=_given(params or {}), headers=headers, timeout=timeout or self.http.timeout
        )
        return self.send(request, again=again or key is not None)

    def _written(self, method: str, path: str, body: Any, **more: Any) -> httpx.Request:
        """A request with its JSON; raises InputError, which names the place, for a body that JSON cannot hold."""
        try:
            return self.http.build_request(method, path, json=body, **more)
        except (TypeError, ValueError, RecursionError) as error:
            raise refusal(body, error) from error

    def send(self, request: httpx.Request, *, again: bool) -> httpx.Response:
        """Send a request and give its good answer (2xx or 304); everything else is raised."""
        for attempt in range(RETRIES + 1):
            last = attempt == RETRIES
            try:
                response = self.http.send(request)
            except httpx.ConnectError as error:  # nothing was sent, so asking again is always safe
                if last:
                    raise self.unreachable(error) from error
                pause = _pause(attempt)
            except httpx.TransportError as error:
                if last or not again:
                    raise self.unreachable(error) from error
                pause = _pause(attempt)
            else:
                if response.is_success or response.status_code == 304:
                    return response
                wanted = retry_after(response)
                busy = response.status_code == 503 or (attempt > 0 and again and _under_way(response))
                if last or not busy or (wanted or 0) > LONGEST_PAUSE_S or not (again or wanted is not None):
                    raise problem(response)
                pause = wanted if wanted is not None else _pause(attempt)
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def download(self, path: str, target: Path) -> None:
        """Write what is at `path` into a file, which is there only when it is whole: its ETag is its SHA-256."""
        digest, partial = hashlib.sha256(), target.with_name(f"{target.name}.part")
        try:
            with self.http.stream("GET", path, headers={"Accept": "*/*"}) as response, partial.open("wb") as file:
                if not response.is_success:
                    response.read()
                    raise problem(response)
                for chunk in response.iter_bytes():
                    digest.update(chunk)
                    file.write(chunk)
            if response.headers.get("etag") != f'"sha256:{digest.hexdigest()}"':
                raise NudgeError("What came is not what the server holds. Fetch it again.")
            partial.replace(target)
        except httpx.TransportError as error:
            raise self.unreachable(error) from error
        finally:
            partial.unlink(missing_ok=True)

    def unreachable(self, error: Exception) -> UnreachableError:
        if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
            return UnreachableError(
                f"{self.url} did not answer in time; it may be busy. Try again, or raise the timeout."
            )
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return UnreachableError(
                f"Nobody answers at {self.url}. Start Nudge there (`make up`), or name another address "
                f"(--url, or the variable NUDGE_URL)."
            )
        return UnreachableError(f"The connection to {self.url} broke ({error or type(error).__name__}). Try again.")


def new_key() -> str:
    """A fresh Idempotency-Key."""
    return uuid.uuid4().hex


def problem(response: httpx.Response) -> NudgeError:
    """The error an answer tells of."""
    try:
        body = response.json()
    except ValueError:
        body = None
    status = response.status_code
    if not isinstance(body, dict):
        text = f"{response.url.host} answered {status} {response.reason_phrase}"
        body = {"detail": f"{text}, which is no answer of Nudge. Is this the right address?"}
    detail = str(body.get("detail") or body.get("title") or f"The server answered with status {status}.")
    return NudgeError(detail, status=status, problem=body, retry_after=retry_after(response))


def retry_after(response: httpx.Response) -> float | None:
    """How long the server asks to wait, in seconds; None when it does not say."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else None


def _under_way(response: httpx.Response) -> bool:
    # Our own first try, whose answer got lost, is still being worked on.
    return response.status_code == 409 and "retry-after" in response.headers


def _pause(attempt: int) -> float:
    return float(0.1 * 2**attempt * random.uniform(0.75, 1.25))  # noqa: S311  spreads clients out, hides nothing


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
