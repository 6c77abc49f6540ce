"""Ports: the wish, the default that gives way, and the error that names the way out."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from standalone.port import CannotListen, Port


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@contextmanager
def bound(number: int) -> Iterator[int]:
    """Bound as servers are, without listening: whoever asks for this number still gets it, and nobody else does."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", number))
        yield keeper.getsockname()[1]


def test_a_free_wish_is_granted_and_bindable() -> None:
    with bound(0) as free:
        port = Port("127.0.0.1", free)
        assert port.number == free
        with bound(free):
            pass
        port.release()


def test_a_taken_wish_is_an_error_with_a_way_out(taken: int) -> None:
    with pytest.raises(CannotListen, match=rf"port {taken} .*another program has it.*--port"):
        Port("127.0.0.1", taken)


def test_the_default_gives_way(taken: int) -> None:
    port = Port("127.0.0.1", taken, default=taken)
    assert port.number not in (0, taken)
    port.release()


def test_two_that_start_at_the_same_moment_agree() -> None:
    first = Port("127.0.0.1", 0)
    with pytest.raises(CannotListen):
        Port("127.0.0.1", first.number)  # nobody listens there yet, and still it is not free
    with bound(first.number):
        first.release()
        second = Port("127.0.0.1", first.number)
    assert second.number == first.number
    second.release()


def test_ipv6() -> None:
    port = Port("::1", 0)
    assert port.number > 0
    port.release()


@pytest.mark.parametrize("wish", [0, 8123])
@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_an_error_with_a_way_out(host: str, wish: int) -> None:
    with pytest.raises(CannotListen, match=r"--host"):
        Port(host, wish)
