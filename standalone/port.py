"""Which port the server listens on, agreed with other systems that start at the same moment."""

import errno
import socket
import sys

DEFAULT = 8080


class CannotListen(Exception):
    """The address that was asked for is not to be had; the message says why, and the way out."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"Cannot listen on port {port} of {host}: {reason}. "
            "Choose another port with --port (0 takes any free one), or another address with --host."
        )


class Port:
    """A free port, chosen and reserved. `number` is the wish if it was free.

    A wish for `default` gives way to a free port; any other that is taken raises CannotListen; 0 means any.
    """

    def __init__(self, host: str, wish: int, default: int = DEFAULT) -> None:
        self._reservation: socket.socket | None = None
        if wish and self._take(host, wish):
            self.number = wish
            return
        if wish not in (0, default):
            raise CannotListen(host, wish, "another program has it")
        self.number = _any_free(host)
        while not self._take(host, self.number):
            self.number = _any_free(host)

    def _take(self, host: str, number: int) -> bool:
        """The server binds the port seconds later, so a name in the kernel's abstract namespace holds it until
        then against other systems; the kernel forgets the name when this process ends, however it ends."""
        reservation = socket.socket(socket.AF_UNIX)
        try:
            if sys.platform == "linux":
                reservation.bind(f"\0nudge-port-{number}")
            _bound(host, number).close()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise CannotListen(host, number, error.strerror or str(error)) from error
        else:
            self._reservation = reservation
            return True
        finally:
            if self._reservation is None:
                reservation.close()

    def release(self) -> None:
        if self._reservation is not None:
            self._reservation.close()


def _any_free(host: str) -> int:
    try:
        with _bound(host, 0) as probe:
            number: int = probe.getsockname()[1]
            return number
    except OSError as error:
        raise CannotListen(host, 0, error.strerror or str(error)) from error


def _bound(host: str, number: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
    probe = socket.socket(family)
    try:
        # As the server will do it: connections of an earlier server that linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
    except OSError:
        probe.close()
        raise
    return probe
