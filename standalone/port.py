"""Which port the server listens on, agreed with other systems that start at the same moment."""

import errno
import socket
import sys

DEFAULT = 8080


class PortTaken(Exception):
    """The port that was asked for belongs to another program."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"Port {port} on {host} is taken by another program. "
            "Stop that one, or choose another port with --port (0 takes any free one)."
        )


class Port:
    """A free port, chosen and reserved. `number` is the wish if it was free.

    A wish for `default` gives way to a free port; any other that is taken raises PortTaken; 0 means any.
    """

    def __init__(self, host: str, wish: int, default: int = DEFAULT) -> None:
        self._reservation: socket.socket | None = None
        if wish and self._take(host, wish):
            self.number = wish
            return
        if wish not in (0, default):
            raise PortTaken(host, wish)
        self.number = _any_free(host)
        while not self._take(host, self.number):
            self.number = _any_free(host)

    def _take(self, host: str, number: int) -> bool:
        """The server binds the port seconds later, so a name in the kernel's abstract namespace holds it until
        then against other systems; the kernel forgets the name when this process ends, however it ends."""
        reservation = socket.socket(socket.AF_UNIX)
        if sys.platform == "linux":
            try:
                reservation.bind(f"\0nudge-port-{number}")
            except OSError:
                reservation.close()
                return False
        if not _is_free(host, number):
            reservation.close()
            return False
        self._reservation = reservation
        return True

    def release(self) -> None:
        if self._reservation is not None:
            self._reservation.close()


def _is_free(host: str, number: int) -> bool:
    try:
        _bound(host, number).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise
    return True


def _any_free(host: str) -> int:
    with _bound(host, 0) as probe:
        number: int = probe.getsockname()[1]
        return number


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
