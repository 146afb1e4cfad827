"""What a deployment can be told, and the settings that go with it."""

import os
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from glimpse.server.auth.listener import requires_auth
from glimpse.server.settings import Settings, SettingsError, load_settings

# A replica has no listener of its own: no service, rather than one in plain text against its settings.
_OF_A_LISTENER = {"TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA"}


class Options(BaseModel):
    """`args` of the application. Times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_replicas: Annotated[int, Field(ge=1)] = 1
    max_replicas: Annotated[int, Field(ge=1)] = 4
    #: Calls and open streams that a replica is to have.
    target_ongoing_requests: Annotated[float, Field(gt=0)] = 16
    #: Of a replica. It has as many threads, where settings do not say.
    cpus: Annotated[float, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0
    #: How long the ledger may be out of reach before a replica is started anew for it.
    ledger_patience_seconds: Annotated[float, Field(ge=0)] = 300


def settings_of(options: Options) -> Settings:
    """Settings from the variables of this process. Raises SettingsError where they do not go with the options."""
    if asked := [name for name in _OF_A_LISTENER if os.environ.get(f"GLIMPSE_{name}")]:
        raise SettingsError(f"GLIMPSE_{asked[0]} is not kept on Ray; unset it, and let a proxy in front see to that")
    settings = load_settings()
    if not (requires_auth(settings) or settings.insecure):
        raise SettingsError(
            "Serve's proxy listens where others reach it: set GLIMPSE_REQUIRE_AUTH=1 (glimpse keys create makes keys), "
            "or GLIMPSE_INSECURE=1 if only those who may call can reach it"
        )
    if options.max_replicas > 1 and settings.ledger_url.startswith("sqlite"):
        raise SettingsError(
            "the ledger is a file, which replicas cannot share: set GLIMPSE_LEDGER to "
            "postgresql+psycopg://…, or max_replicas to 1"
        )
    threads = max(1, int(options.cpus))
    own = {name: threads for name in ("encode_threads", "decode_threads") if name not in settings.model_fields_set}
    return settings.model_copy(update=own)
