"""Options of a deployment, and the settings that fit them."""

import os
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from glimpse.server.auth.listener import requires_auth
from glimpse.server.settings import Settings, SettingsError, load_settings

# A replica has no listener. Refuse to start rather than serve in plain text despite these settings.
_LISTENER_VARIABLES = {"TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA"}


class Options(BaseModel):
    """The `args` of the application. Times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_replicas: Annotated[int, Field(ge=1)] = 1
    max_replicas: Annotated[int, Field(ge=1)] = 4
    #: Target number of calls and open streams per replica.
    target_ongoing_requests: Annotated[float, Field(gt=0)] = 16
    #: CPUs per replica, and its number of threads unless the settings give one.
    cpus: Annotated[float, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0
    #: How long the ledger may be unavailable before a replica is restarted.
    ledger_patience_seconds: Annotated[float, Field(ge=0)] = 300


def settings_of(options: Options) -> Settings:
    """Returns the settings of this process's environment. Raises SettingsError if they do not fit the options."""
    if unsupported := [name for name in _LISTENER_VARIABLES if os.environ.get(f"GLIMPSE_{name}")]:
        raise SettingsError(f"GLIMPSE_{unsupported[0]} is not supported on Ray; unset it, and terminate TLS in a proxy")
    settings = load_settings()
    if not (requires_auth(settings) or settings.insecure):
        raise SettingsError(
            "Serve's proxy listens on the network: set GLIMPSE_REQUIRE_AUTH=1 (glimpse keys create makes keys), "
            "or GLIMPSE_INSECURE=1 if only trusted callers can reach it"
        )
    if options.max_replicas > 1 and settings.ledger_url.startswith("sqlite"):
        raise SettingsError(
            "replicas cannot share a SQLite ledger: set GLIMPSE_LEDGER to postgresql+psycopg://…, or max_replicas to 1"
        )
    threads = max(1, int(options.cpus))
    own = {name: threads for name in ("encode_threads", "decode_threads") if name not in settings.model_fields_set}
    return settings.model_copy(update=own)
