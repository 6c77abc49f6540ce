"""The clients: they submit jobs (with keys, now and then twice), pause, resume, cancel, retry and watch them."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx

from chaos import work
from chaos.caller import Caller
from chaos.house import House
from chaos.ledger import Ledger

FEWEST = 8
AIM = 14  # jobs alive: more than the fewest, so that a server that is down does not starve the house
KEYLESS, TWICE, TOGETHER = 0.05, 0.15, 0.15


class Load:
    """Four threads over one ledger. `submitting` and `meddling` end before the others."""

    def __init__(self, house: House, ledger: Ledger, ground: work.Ground, kinds: Sequence[str], seed: int) -> None:
        self.house, self.ledger, self.ground = house, ledger, ground
        self.kinds, self.seed = kinds, seed
        self.disturbing = threading.Event()  # set while jobs are submitted, paused and cancelled
        self.over = threading.Event()
        self.sending = False
        self.broken: list[BaseException] = []
        loops = {"submitter": self._submit, "meddler": self._meddle, "watcher": self._watch, "follower": self._follow}
        self._threads = [
            threading.Thread(target=self._keep_doing, args=(name, loop), name=name, daemon=True)
            for name, loop in loops.items()
        ]

    def start(self) -> None:
        self.disturbing.set()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(60)

    def _keep_doing(self, name: str, loop: Callable[[Caller, random.Random], None]) -> None:
        caller = Caller(self.house.url, self.house.outages, self.ledger)
        draw = random.Random(f"{self.seed}-{name}")
        try:
            while not self.over.is_set():
                loop(caller, draw)
        except BaseException as error:  # a load that ended quietly would prove nothing
            self.broken.append(error)
            raise
        finally:
            caller.close()

    def _submit(self, caller: Caller, draw: random.Random) -> None:
        self.sending = True  # before the look: whoever ends the disturbance waits until this one is done
        if not self.disturbing.is_set() or len(self.ledger.alive()) >= AIM:
            self.sending = False
            time.sleep(0.1)
            return
        kind = draw.choice(self.kinds)
        key = None if draw.random() < KEYLESS else f"{self.seed}-{draw.getrandbits(64):016x}"
        together, again = draw.random() < TOGETHER, draw.random() < TWICE
        if key is None:
            if self._send(caller, kind, None) is None:
                with self.ledger.lock:
                    self.ledger.unanswered += 1
            return
        if together:
            other = Caller(self.house.url, self.house.outages, self.ledger)
            with ThreadPoolExecutor(1) as pool:
                twin = pool.submit(self._send, other, kind, key)
                self._send(caller, kind, key)
                twin.result()
            other.close()
        while self._send(caller, kind, key) is None:
            if self.over.wait(0.2):
                return
        if again:
            self._send(caller, kind, key)

    def _send(self, caller: Caller, kind: str, key: str | None) -> str | None:
        headers = {} if key is None else {"Idempotency-Key": key}
        path, body = work.request(kind, self.ground)
        answer = caller.call("POST", path, {202, 409}, json=body, headers=headers)
        if answer is None:
            return None
        if answer.status_code == 409:  # its twin is being accepted at this moment
            if "key-in-progress" not in answer.text:
                self.ledger.error(f"POST {path} with key {key}: {answer.text[:300]}")
            return None
        job_id = str(answer.json()["id"])
        self.ledger.accept(job_id, kind, key)
        return job_id

    def _meddle(self, caller: Caller, draw: random.Random) -> None:
        alive = self.ledger.alive()
        paused = [known for known in alive if known.status == "paused"]
        failed = [known for known in alive if known.may_be_retried]
        moving = [known for known in alive if known.status in ("queued", "running")]
        if not self.disturbing.is_set():
            for known in paused:
                self._move(caller, known.id, "resume")
            for known in failed:
                self._move(caller, known.id, "retry")
            time.sleep(0.3)
            return
        choice = draw.random()
        if failed:
            self._move(caller, draw.choice(failed).id, "retry")
        elif paused and (choice < 0.45 or len(paused) >= 4):
            self._move(caller, draw.choice(paused).id, "resume")
        elif moving and choice < 0.85:
            self._move(caller, draw.choice(moving).id, "pause")
        elif moving and choice < 0.92:
            known = draw.choice(moving)
            known.cancel_tried = True
            if self._move(caller, known.id, "cancel"):
                known.cancelled = True
        time.sleep(draw.uniform(0.2, 0.9))

    def _ask(self, caller: Caller, method: str, job_id: str, tail: str, expected: set[int]) -> httpx.Response | None:
        answer = caller.call(method, f"/v1/jobs/{job_id}{tail}", expected | {404})
        if answer is None or answer.status_code != 404:
            return answer
        if job_id not in self.ledger.deleted:
            self.ledger.error(f"{method} {tail or 'of'} {job_id}, which was accepted: 404")
        return None

    def _move(self, caller: Caller, job_id: str, move: str) -> bool:
        answer = self._ask(caller, "POST", job_id, f"/{move}", {202, 409})
        if answer is None or answer.status_code == 409:
            now = self._ask(caller, "GET", job_id, "", {200})
            if now is not None:
                self.ledger.see(now.json())
            return False
        self.ledger.see(answer.json())
        return True

    def _watch(self, caller: Caller, draw: random.Random) -> None:
        for known in self.ledger.alive():
            if self.over.is_set():
                return
            answer = self._ask(caller, "GET", known.id, "", {200})
            if answer is not None:
                self.ledger.see(answer.json(), in_order=True)
        time.sleep(0.2)

    def _follow(self, caller: Caller, draw: random.Random) -> None:
        """An event stream, taken up again behind the last event: no number comes twice and none is missing."""
        running = [known for known in self.ledger.alive() if known.status == "running"]
        if not running:
            time.sleep(0.2)
            return
        known, last = draw.choice(running), 0
        until = time.monotonic() + 10.0
        while not self.over.is_set() and time.monotonic() < until:
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
            with (
                suppress(httpx.TransportError),
                caller.http.stream("GET", f"/v1/jobs/{known.id}/events", headers=headers, timeout=15.0) as answer,
            ):
                if answer.status_code != 200:
                    answer.read()
                    if answer.status_code != 503 and known.id not in self.ledger.deleted:
                        self.ledger.error(f"GET events of {known.id}: {answer.status_code} {answer.text[:300]}")
                    self.over.wait(0.3)
                    continue
                for line in answer.iter_lines():
                    if line.startswith("id: "):
                        number = int(line[4:])
                        if number != last + 1:
                            self.ledger.error(f"the stream of {known.id} told event {number} after {last}")
                        last = number
                    if self.over.is_set() or time.monotonic() > until:
                        return
                self.over.wait(0.2)
                return
            self.over.wait(0.3)
