"""What can be set: by flag, environment (GLIMPSE_…), TOML file or default, in that order."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

_CORES = os.cpu_count() or 1
MIB = 1 << 20


def _data_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "glimpse"


class Settings(BaseSettings):
    """The server's settings. Sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(env_prefix="GLIMPSE_", extra="ignore", frozen=True)

    listen: str = Field("127.0.0.1:50051", description="address to listen on; port 0 picks a free one")
    data: Path = Field(default_factory=_data_home, description="folder of the ledger")
    backbone: tuple[Path, ...] = Field((), description="bundle folders; none: the bundled glimpse-mini")

    # ONNX Runtime gets every core; decoding fills the gaps between batches and yields to it (no spinning).
    encode_threads: Annotated[int, Field(ge=1)] = _CORES
    decode_threads: Annotated[int, Field(ge=1)] = _CORES

    max_batch: Annotated[int, Field(ge=1, description="inputs in one run of a backbone")] = 32
    queue_limit: Annotated[int, Field(ge=1, description="inputs waiting for a backbone")] = 1_024
    max_inputs: Annotated[int, Field(ge=1, description="inputs in one call")] = 256
    max_message_bytes: Annotated[int, Field(ge=MIB)] = 16 * MIB
    max_image_side: Annotated[int, Field(ge=1, description="pixels")] = 8_192
    max_image_pixels: Annotated[int, Field(ge=1)] = 40_000_000
    max_labels: Annotated[int, Field(ge=1, description="labels in one collection")] = 10_000
    max_examples: Annotated[int, Field(ge=1, description="examples in one collection")] = 1_000_000
    stream_window: Annotated[int, Field(ge=1, description="inputs of one stream worked on at once")] = 64
    drain_seconds: Annotated[float, Field(ge=0, description="how long running calls may finish")] = 20.0


def load_settings(config: Path | None = None, **flags: Any) -> Settings:
    """Settings from flags (None: not given), environment, a TOML file and the defaults.

    Raises pydantic.ValidationError naming each wrong value, and FileNotFoundError for a missing file.
    """
    if config is not None and not config.is_file():
        raise FileNotFoundError(f"there is no configuration file {config}")

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
            file = (TomlConfigSettingsSource(settings_cls, config),) if config else ()
            return (init_settings, env_settings, *file)

    return _Settings(**{name: value for name, value in flags.items() if value is not None})
