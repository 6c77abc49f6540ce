"""Asks a server whether it is ready for requests."""

import http.client

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (read here, bound elsewhere)


def is_ready(host: str, port: int) -> bool:
    """Whether `GET /readyz` is answered with 200; a wildcard address is asked on loopback."""
    connection = http.client.HTTPConnection(WILDCARDS.get(host, host), port, timeout=2.0)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def address(host: str, port: int) -> str:
    """The URL under which people reach the server from this machine."""
    host = WILDCARDS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
