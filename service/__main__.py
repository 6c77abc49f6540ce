"""Serve HTTP: one process, one event loop."""

import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from core import memory
from service.app import create_app
from service.settings import ServiceSettings
from service.wire import Wire
from store.environment import read_settings
from store.settings import StoreSettings

# Bytes: bodies of requests, and what is made of them, come and go; most are smaller than this.
KEPT_EACH, KEPT_TOGETHER = 4 * 2**20, 16 * 2**20


class Server(uvicorn.Server):
    """Ends event streams and long polls at the first signal, so that stopping does not wait for them."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal; a second one changes nothing."""
        services = getattr(self._app.state, "services", None)
        if services is not None:
            services.broadcast.stop()
        super().handle_exit(sig, frame)


def main() -> None:
    """Run the server until it is told to stop."""
    settings, store = read_settings(ServiceSettings), read_settings(StoreSettings)
    if refusal := settings.refusal_to_listen():
        sys.exit(refusal)
    # Threads of the store give up the GIL at every statement; five milliseconds is long to wait for it again.
    sys.setswitchinterval(0.0005)
    # Forwards are small, and several run side by side: threads of one product would only wait for one another.
    threadpool_limits(1, user_api="blas")
    memory.keep(KEPT_EACH, KEPT_TOGETHER)
    app = create_app(settings, store)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=Wire,
        ws="none",
        workers=1,
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.shutdown_s,
    )
    Server(config, app).run()


if __name__ == "__main__":
    main()
