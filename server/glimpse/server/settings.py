"""What can be set: by flag, environment (GLIMPSE_…), TOML file or default, in that order."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from glimpse.ledger import sqlite_url

MIB = 1 << 20
_PREFIX = "GLIMPSE_"
# Settings that may hold a password.
_URLS = ("ledger", "jwt_keys")


def _data_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "glimpse"


def _paths(value: Any) -> Any:
    """In a variable, folders stand as in PATH."""
    return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value


def _names(value: Any) -> Any:
    """In a variable, names stand with commas between them."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


class Settings(BaseSettings):
    """The server's settings. Sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    listen: str = Field("127.0.0.1:50051", description="address to listen on; port 0 picks a free one")
    data: Path = Field(default_factory=_data_home, description="folder of the ledger and of what the server makes")
    ledger: str | None = Field(
        None,
        repr=False,  # it may have a password
        description="URL of the ledger: `sqlite:///FILE` or `postgresql+psycopg://…`; none: a file in the folder above",
    )
    indexes: Path | None = Field(
        None, description="folder of the indexes that can be attached; none: `indexes` in the folder of the ledger"
    )
    backbone: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_paths)] = Field(
        (), description="bundle folders, or glimpse-mini; none: glimpse-mini, which ships with the package"
    )

    providers: Annotated[tuple[Literal["tensorrt", "cuda", "cpu"], ...], NoDecode, BeforeValidator(_names)] = Field(
        (), description="what backbones run on, best first; none: cuda where it is there, then cpu"
    )
    # ONNX Runtime gets every core; decoding fills the gaps between batches and yields to it (no spinning).
    encode_threads: Annotated[int | None, Field(ge=1, description="none: every core this process may use")] = None
    decode_threads: Annotated[int | None, Field(ge=1, description="likewise")] = None

    max_batch: Annotated[int | None, Field(ge=1, description="inputs in one run of a backbone")] = None
    queue_limit: Annotated[int, Field(ge=1, description="inputs waiting for a backbone")] = 1_024
    queue_seconds: Annotated[float, Field(gt=0, description="the longest wait for a backbone")] = 5.0
    max_held_bytes: Annotated[int, Field(ge=MIB, description="of requests being answered, together")] = 512 * MIB
    max_inputs: Annotated[int, Field(ge=1, description="inputs in one call")] = 256
    max_message_bytes: Annotated[int, Field(ge=MIB)] = 32 * MIB
    max_image_side: Annotated[int, Field(ge=1, description="pixels")] = 16_384
    max_image_pixels: Annotated[int, Field(ge=1)] = 64_000_000
    max_decode_bytes: Annotated[
        int, Field(ge=64 * MIB, description="memory of large pictures being decoded, together")
    ] = 1_024 * MIB
    max_labels: Annotated[int, Field(ge=1, description="labels in one collection")] = 1_000_000
    max_examples: Annotated[int, Field(ge=1, description="examples in one collection")] = 1_000_000
    stream_window: Annotated[int, Field(ge=1, description="inputs of one stream worked on at once")] = 64
    drain_seconds: Annotated[float, Field(ge=0, description="how long running calls may finish")] = 20.0

    metrics_listen: str | None = Field(None, description="HOST:PORT of the metrics for Prometheus; none: nowhere")
    metrics_insecure: bool = Field(False, description="the metrics on an address that others reach, for all who do")
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    audit_log: str | None = Field(None, description="file of the audit; none: the log")
    # Who may come in, and how.
    tls_cert: Path | None = Field(None, description="certificate chain, PEM; read again when it changes")
    tls_key: Path | None = Field(None, description="its private key, PEM without a passphrase")
    tls_client_ca: Path | None = Field(None, description="who signs clients' certificates; given: each needs one")
    insecure: bool = Field(False, description="plain text on an address that others reach")
    require_auth: bool | None = Field(
        None, description="calls need a key or token; none: with TLS where others reach it, or with jwt_issuer"
    )
    jwt_issuer: str | None = Field(None, description="`iss` of tokens; none: no tokens are taken")
    jwt_audience: str = Field("glimpse", description="`aud` of tokens")
    jwt_keys: str | None = Field(None, repr=False, description="the issuer's JWKS: a file, or a URL")
    key_requests_per_second: Annotated[float | None, Field(gt=0, description="of a key without its own")] = None
    key_inputs_per_second: Annotated[float | None, Field(gt=0, description="likewise")] = None
    key_bytes_per_second: Annotated[float | None, Field(gt=0, description="likewise")] = None
    reflection: bool = Field(True, description="answer grpcurl and the like")

    snapshot_seconds: Annotated[
        float, Field(ge=0, description="between snapshots of collections that have changed; 0: none")
    ] = 300.0
    snapshot_examples: Annotated[int, Field(ge=1, description="of smaller collections there are none")] = 10_000

    @field_validator("*", mode="before")
    @classmethod
    def _check_encodable(cls, value: Any) -> Any:
        """Refuses what is not UTF-8: it can be neither sent to a database nor logged."""
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, str | Path) and any("\ud800" <= character <= "\udfff" for character in str(one)):
                raise ValueError("has bytes that are not UTF-8; give the file or folder another name")
        return value

    @property
    def ledger_url(self) -> str:
        """The ledger's, whether it was given or not."""
        return self.ledger or sqlite_url(self.data)


class SettingsError(Exception):
    """Settings that cannot be; the message names each."""


def load_settings(config: Path | None = None, **flags: Any) -> Settings:
    """Settings from flags (None: not given), environment, a TOML file and the defaults. Raises SettingsError."""
    given = _read(config) if config else {}

    class _Settings(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (init_settings, env_settings, InitSettingsSource(settings_cls, given))

    try:
        return _Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        # The error before this one has the values, and one may be a password.
        raise SettingsError("; ".join(_problem(one, flags, config) for one in error.errors())) from None


def _problem(error: Any, flags: Mapping[str, Any], config: Path | None) -> str:
    """Which setting cannot be, where it was given, and its value, but for URLs."""
    name = str(error["loc"][0])
    variable = f"{_PREFIX}{name.upper()}"
    if flags.get(name) is None:
        there = variable in map(str.upper, os.environ)  # in any case, as pydantic reads them
        name = variable if there else f"{config}: {name}"
    given = str(error["input"]) if isinstance(error["input"], Path) else error["input"]
    value = "" if error["loc"][0] in _URLS else f"{given!r} "
    message = error["msg"].removeprefix("Input ").removeprefix("Value error, ").partition(", unable to")[0]
    return f"{name}: {value}{message}"


def _read(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, not TOML
        raise SettingsError(f"{file} cannot be read as TOML: {error}") from error
    if unknown := sorted(values.keys() - Settings.model_fields.keys()):
        known = ", ".join(Settings.model_fields)
        raise SettingsError(f"{file}: there is no setting {unknown[0]!r}; there are {known}")
    return values
