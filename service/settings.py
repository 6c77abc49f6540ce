"""How the server listens and what it refuses: read from the environment, frozen afterwards."""

import ipaddress
import os
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _most_of_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 8 // 10


class ServiceSettings(BaseSettings):
    """Address, limits and guards of the HTTP service; each field is read from NUDGE_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="NUDGE_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    insecure: bool = Field(False, description="Listen beyond this machine although nobody has to identify themselves.")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Names, comma-separated, under which the server may be addressed besides the loopback ones."
    )
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field("info", description="Logging level.")

    max_body_bytes: int = Field(16 * 2**20, ge=1024, description="Largest JSON body.")
    max_upload_bytes: int = Field(2 * 2**30, ge=1024, description="Largest dataset upload, and largest when unpacked.")
    max_uploads: int = Field(4, ge=1, description="Uploads read and converted at the same time; others wait.")
    max_memory_bytes: int = Field(
        default_factory=_most_of_memory, ge=1, description="Largest estimated memory of a job that is let in."
    )
    max_predict_rows: int = Field(10_000, ge=1, description="Largest batch of one prediction.")
    max_predict_flops: int = Field(
        200_000_000_000,
        ge=1,
        description="Most floating-point operations of one prediction: 20 seconds where a core does 10^10 each.",
    )
    max_explain_rows: int = Field(1_000, ge=1, description="Most rows that are explained together.")
    max_explain_flops: int = Field(
        200_000_000_000, ge=1, description="Most floating-point operations of one look at many rows."
    )
    max_explain_numbers: int = Field(1_000_000, ge=1, description="Most numbers in one explanation.")
    max_evaluate_rows: int = Field(1_000_000, ge=1, description="Most rows of one evaluation.")
    max_evaluate_flops: int = Field(
        200_000_000_000, ge=1, description="Most floating-point operations of one evaluation."
    )
    max_predict_pixels: int = Field(50_000_000, ge=1, description="Most pixels of the pictures of one prediction.")
    loaded_models: int = Field(32, ge=1, description="Models kept in memory, ready to predict.")
    body_timeout_s: float = Field(30.0, gt=0, description="Longest silence while a request body is being sent.")
    keep_alive_s: int = Field(30, ge=1, description="How long a connection may wait for its next request.")
    heartbeat_s: float = Field(10.0, gt=0, description="Longest silence on an event stream.")
    shutdown_s: int = Field(10, ge=1, description="How long requests under way may take when the server stops.")

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip().lower() for name in value.split(",") if name.strip())
        return value

    def refusal_to_listen(self) -> str | None:
        """Why the server must not listen on its address, or None."""
        if self.insecure or is_loopback(self.host):
            return None
        return (
            f"Refusing to listen on {self.host}: there are no API keys yet, so anyone who can reach that address could "
            "use this server and read its data. Listen on 127.0.0.1, or set NUDGE_INSECURE=true if the network around "
            "it is trusted."
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = as_address(host)
    return address is not None and address.is_loopback


def as_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host names literally (`127.0.0.1`, `[::1]`), or None."""
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
