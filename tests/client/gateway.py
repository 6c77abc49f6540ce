"""A TCP gateway before the real server, which can be told to have a bad day."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Gateway:
    """Passes connections on to the server at `url`. `faults` are used up one for each connection:

    ("drop", n)   closes the connection after n bytes of answer
    ("busy", s)   answers 503 with `Retry-After: s` itself
    ("refuse", 0) closes at once, before anything reaches the server
    """

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname or "", target.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.faults: list[tuple[str, int]] = []
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing alone does not wake an accept() that waits.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            fault = self.faults.pop(0) if self.faults else ("", 0)
            threads.append(threading.Thread(target=self._serve, args=(connection, fault)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _serve(self, connection: socket.socket, fault: tuple[str, int]) -> None:
        kind, number = fault
        with connection, contextlib.suppress(OSError):
            if kind == "refuse":
                return
            if kind == "busy":
                self.requests.append(connection.recv(65536))
                body = b'{"title": "Busy", "detail": "Come again."}'
                connection.sendall(
                    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
                    b"Connection: close\r\nRetry-After: %d\r\nContent-Length: %d\r\n\r\n%b" % (number, len(body), body)
                )
                # To close with a part of the request unread would break the connection, and with it the answer.
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
                return
            with socket.create_connection(self._target) as server:
                up = threading.Thread(target=self._forward, args=(connection, server))
                up.start()
                left = number if kind == "drop" else None
                while data := server.recv(65536):
                    if left is not None and len(data) > left:
                        connection.sendall(data[:left])
                        break
                    connection.sendall(data)
                    left = None if left is None else left - len(data)
                for end in (connection, server):
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
                up.join()

    def _forward(self, connection: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := connection.recv(65536):
                self.requests.append(data)
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
