"""Where the store lives: read from the environment, shared by server, worker and migrations."""

from pathlib import Path

import fsspec
from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL


class StoreSettings(BaseSettings):
    """Addresses of the database, the broker and the blobs; everything has a default inside the data directory."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    data: Path = Field(
        Path("data"),
        validation_alias=AliasChoices("NUDGE_DATA", "data"),
        description="Directory of everything that is kept on this machine.",
    )
    database_url: str = Field(
        "",
        validation_alias=AliasChoices("DATABASE_URL", "database_url"),
        description="SQLAlchemy address; empty means SQLite in the data directory.",
    )
    broker_url: str = Field(
        "",
        validation_alias=AliasChoices("BROKER_URL", "broker_url"),
        description="Redis or Valkey; empty means that workers poll the database.",
    )
    blobs_url: str = Field(
        "",
        validation_alias=AliasChoices("BLOBS_URL", "blobs_url"),
        description="fsspec address of large blobs; empty means a folder in the data directory.",
    )

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if url and not url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("Write postgresql+psycopg://user:password@host/database, or sqlite:///file.")
        return url

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, url: str) -> str:
        if url and not url.startswith(("redis://", "rediss://", "redis+socket://")):
            raise ValueError("Write redis://host:6379/0 (Redis or Valkey), or redis+socket:///path.")
        return url

    @field_validator("blobs_url")
    @classmethod
    def _reachable_blobs(cls, url: str) -> str:
        protocol = url.partition("://")[0]
        if url:
            try:
                fsspec.get_filesystem_class(protocol)
            except (ImportError, ValueError) as error:
                raise ValueError(f"{protocol}:// cannot be used here: {error}. file:///folder always can.") from error
        return url

    @property
    def database(self) -> str:
        """The database's address with the default filled in."""
        file = URL.create("sqlite", database=str(self.data.absolute() / "nudge.db"))
        return self.database_url or file.render_as_string(hide_password=False)

    @property
    def blobs(self) -> str:
        """The blobs' address with the default filled in."""
        return self.blobs_url or f"file://{self.data.absolute() / 'blobs'}"

    @property
    def cache(self) -> Path:
        """The folder in which blobs of another machine are kept to be mapped."""
        return self.data.absolute() / "cache"
