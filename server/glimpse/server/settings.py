"""The server's settings, from flags, environment variables (GLIMPSE_…), a TOML file and defaults, in that order."""

import os
import re
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
# The values of these settings may have a password.
_URLS = ("ledger", "jwt_keys")


def _data_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "glimpse"


def _backbones(value: Any) -> Any:
    """Splits the backbones in a variable, which are separated as in PATH; `hf:` and other schemes stay whole."""
    if not isinstance(value, str):
        return value
    unscheme = "".join(rf"(?<!^{scheme})(?<!{os.pathsep}{scheme})" for scheme in ("hf", "https", "http", "file"))
    return tuple(filter(None, re.split(rf"{unscheme}{os.pathsep}", value)))


def _names(value: Any) -> Any:
    """Splits the names in a variable, which are separated by commas."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


class Settings(BaseSettings):
    """The server's settings. Sizes are in bytes and times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    listen: str = Field("127.0.0.1:50051", description="the address to listen on; port 0 picks a free one")
    http: str | None = Field(
        None, description="HOST:PORT of HTTP/JSON beside gRPC (the extra `http`); port 0 picks a free one; unset: none"
    )
    http_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = Field(
        (), description="the web origins whose pages may call over HTTP, such as https://example.org, or *"
    )
    data: Path = Field(default_factory=_data_home, description="the folder of the ledger, snapshots and indexes")
    ledger: str | None = Field(
        None,
        repr=False,  # it may have a password
        description="the URL of the ledger, `sqlite:///FILE` or `postgresql+psycopg://…`; unset: a file in `data`",
    )
    indexes: Path | None = Field(
        None, description="the folder of the indexes that can be attached; unset: `indexes` in `data`"
    )
    backbone: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_backbones)] = Field(
        (), description="the folders of bundles, or glimpse-mini; empty: glimpse-mini, which ships with the package"
    )

    providers: Annotated[tuple[Literal["tensorrt", "cuda", "cpu"], ...], NoDecode, BeforeValidator(_names)] = Field(
        (), description="the providers that run backbones, best first; empty: cuda where available, then cpu"
    )
    index_device: Annotated[
        Literal["auto", "cpu", "gpu"],
        Field(description="where indexes are searched; auto: on a GPU that can hold them; gpu: one must exist"),
    ] = "auto"
    # Searches of a smaller collection run on the event loop, where nothing may wait for a GPU.
    index_device_min_bytes: Annotated[
        int, Field(ge=16 * MIB, description="of the float32 vectors that a GPU searches; fewer: the processor")
    ] = 16 * MIB
    # ONNX Runtime uses every core. Decoding threads do not spin, so they run in the gaps between batches.
    encode_threads: Annotated[int | None, Field(ge=1, description="unset: every core of this process")] = None
    decode_threads: Annotated[int | None, Field(ge=1, description="unset: every core of this process")] = None

    max_batch: Annotated[int | None, Field(ge=1, description="inputs in one run of a backbone")] = None
    queue_limit: Annotated[int, Field(ge=1, description="inputs waiting for a backbone")] = 1_024
    queue_seconds: Annotated[float, Field(gt=0, description="the longest wait of an input for a backbone")] = 5.0
    max_held_bytes: Annotated[int, Field(ge=MIB, description="the bytes of all requests being answered")] = 512 * MIB
    max_inputs: Annotated[int, Field(ge=1, description="inputs in one call")] = 256
    max_message_bytes: Annotated[int, Field(ge=MIB)] = 32 * MIB
    max_image_side: Annotated[int, Field(ge=1, description="pixels")] = 16_384
    max_image_pixels: Annotated[int, Field(ge=1)] = 64_000_000
    max_decode_bytes: Annotated[int, Field(ge=64 * MIB, description="the memory of all large images being decoded")] = (
        1_024 * MIB
    )
    max_labels: Annotated[int, Field(ge=1, description="labels in one collection")] = 1_000_000
    max_examples: Annotated[int, Field(ge=1, description="examples in one collection")] = 1_000_000
    max_review_bytes: Annotated[int, Field(ge=MIB, description="the bytes of all queries kept for review")] = (
        1_024 * MIB
    )
    stream_window: Annotated[int, Field(ge=1, description="inputs of one stream worked on at once")] = 64
    drain_seconds: Annotated[float, Field(ge=0, description="the time for running calls when the server stops")] = 20.0

    metrics_listen: str | None = Field(None, description="HOST:PORT of the metrics for Prometheus; unset: none")
    metrics_insecure: bool = Field(
        False, description="serve metrics without credentials on an address that other machines reach"
    )
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    audit_log: str | None = Field(None, description="the file of the audit log; unset: the log")
    # Authentication and TLS.
    tls_cert: Path | None = Field(None, description="the certificate chain, PEM; read again when it changes")
    tls_key: Path | None = Field(None, description="the private key of the certificate, PEM without a passphrase")
    tls_client_ca: Path | None = Field(None, description="the CA of client certificates; if set, each client needs one")
    insecure: bool = Field(False, description="serve plain text on an address that other machines reach")
    require_auth: bool | None = Field(
        None, description="calls need a key or token; unset: with TLS where other machines reach it, or with jwt_issuer"
    )
    jwt_issuer: str | None = Field(None, description="the `iss` of tokens; unset: tokens are refused")
    jwt_audience: str = Field("glimpse", description="the `aud` of tokens")
    jwt_keys: str | None = Field(None, repr=False, description="the issuer's JWKS: a file, or a URL")
    key_requests_per_second: Annotated[float | None, Field(gt=0, description="of keys without a limit")] = None
    key_inputs_per_second: Annotated[float | None, Field(gt=0, description="as key_requests_per_second")] = None
    key_bytes_per_second: Annotated[float | None, Field(gt=0, description="as key_requests_per_second")] = None
    reflection: bool = Field(True, description="answer server reflection, for tools such as grpcurl")

    snapshot_seconds: Annotated[
        float, Field(ge=0, description="the time between snapshots of changed collections; 0: no snapshots")
    ] = 300.0
    snapshot_examples: Annotated[int, Field(ge=1, description="smaller collections have none")] = 10_000

    @field_validator("*", mode="before")
    @classmethod
    def _check_encodable(cls, value: Any) -> Any:
        """Refuses values that are not UTF-8, because they can be neither sent to a database nor logged."""
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, str | Path) and any("\ud800" <= character <= "\udfff" for character in str(item)):
                raise ValueError("has bytes that are not UTF-8; give the file or folder another name")
        return value

    @property
    def ledger_url(self) -> str:
        """The URL of the ledger: the setting, or a SQLite file in the data folder."""
        return self.ledger or sqlite_url(self.data)


class SettingsError(Exception):
    """Raised for invalid settings; the message names each of them."""


def load_settings(config: Path | None = None, **flags: Any) -> Settings:
    """Loads the settings.

    Args:
        config: A TOML file.
        **flags: Settings from the command line; None means that a flag is not set.

    Raises:
        SettingsError: The file cannot be read, or a setting is unknown or invalid.
    """
    from_file = _read(config) if config else {}

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
            return (init_settings, env_settings, InitSettingsSource(settings_cls, from_file))

    try:
        return _Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        # The original error shows the values, and one of them may be a password.
        raise SettingsError("; ".join(_problem(detail, flags, config) for detail in error.errors())) from None


def _problem(error: Any, flags: Mapping[str, Any], config: Path | None) -> str:
    """Describes one invalid setting: its name as it was set, its value (not that of a URL), and the problem."""
    name = str(error["loc"][0])
    variable = f"{_PREFIX}{name.upper()}"
    if flags.get(name) is None:
        in_environment = variable in map(str.upper, os.environ)  # pydantic ignores the case of variables
        name = variable if in_environment else f"{config}: {name}"
    raw = str(error["input"]) if isinstance(error["input"], Path) else error["input"]
    value = "" if error["loc"][0] in _URLS else f"{raw!r} "
    message = error["msg"].removeprefix("Input ").removeprefix("Value error, ").partition(", unable to")[0]
    return f"{name}: {value}{message}"


def _read(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, not TOML
        raise SettingsError(f"{file} cannot be read as TOML: {error}") from error
    if unknown := sorted(values.keys() - Settings.model_fields.keys()):
        names = ", ".join(Settings.model_fields)
        raise SettingsError(f"{file}: there is no setting {unknown[0]!r}; the settings are {names}")
    return values
