"""The doorbell: tell a worker which job to look at. The row is the job; a message is only a hint.

Nothing here may lose or double a job: a message that never arrives is made good by the workers, which look for jobs
that have waited too long, and of ten equal messages nine find nothing to claim.
"""

import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from store.crash_points import reach

if TYPE_CHECKING:
    from celery import Celery

QUEUE = "nudge"
TASK = "nudge.train"
SILENCE_S = 1.0  # after a bell that could not be rung
PAUSE_S = 0.02  # between two bells: publishing costs a millisecond, and a woken worker empties the queue anyway
CROWD = 64  # bells that may wait; more would wake nobody who is not awake by then

log = structlog.get_logger(__name__)


def celery_app(broker_url: str) -> "Celery":
    """The Celery application, alike in server and worker. No result backend and no Celery states: the row knows."""
    from celery import Celery  # noqa: PLC0415 - its import takes half a second, which a server's start need not wait for

    app = Celery("nudge", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        # Acknowledged early: leases in the database recover jobs; a visibility timeout would run them twice.
        task_acks_late=False,
        # Else a short job waits behind an hours-long one that its worker holds.
        worker_disable_prefetch=True,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=1,
        # Without a timeout a half-open link would stop a worker for good.
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": False,
        },
    )
    return app


class Doorbell:
    """Rings from a thread of its own: a frozen broker never holds up a request. Without a broker it is silent."""

    def __init__(self, broker_url: str) -> None:
        self._broker_url = broker_url
        self._waiting: queue.Queue[str | None] = queue.Queue(CROWD)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def ring(self, job_id: str) -> None:
        """Send a hint for this job soon, at best; never blocks and never fails."""
        if not self._broker_url:
            return
        self.open()
        with suppress(queue.Full):
            self._waiting.put_nowait(job_id)

    def open(self) -> None:
        """Have the thread ready, so that the first bell rings as soon as any other."""
        with self._lock:
            if self._broker_url and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
                self._thread.start()

    def close(self, timeout_s: float = 2.0) -> None:
        """Send what waits, for a moment, and stop."""
        if self._thread is not None:
            try:
                self._waiting.put_nowait(None)
            except queue.Full:
                return
            self._thread.join(timeout_s)

    def _run(self) -> None:
        app: Any = celery_app(self._broker_url)
        silent_until = 0.0
        while (job_id := self._waiting.get()) is not None:
            if time.monotonic() < silent_until:
                continue  # the broker is away: trying for each job would only heat the room
            reach("bell.before_send")
            try:
                app.send_task(TASK, args=[job_id], queue=QUEUE, retry=False, ignore_result=True)
                time.sleep(PAUSE_S)
            except Exception as error:
                silent_until = time.monotonic() + SILENCE_S
                log.warning("doorbell.silent", job=job_id, error=str(error))
        app.close()
