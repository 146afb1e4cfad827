"""Glimpse on Ray Serve: autoscaled replicas on one PostgreSQL ledger, behind Serve's gRPC proxy.

serve run server/deploy/ray/serve.yaml
"""

from typing import Any

from ray import serve
from ray.serve import Application

from glimpse.server.ray.options import Options, settings_of
from glimpse.server.ray.replica import Replica

# Beyond this Serve queues calls. A replica refuses calls earlier, with a retry delay.
_MAX_ONGOING = 4_096
# Time to close after the drain.
_CLOSING_SECONDS = 10.0


def app(options: Options) -> Application:
    """Builds the application, for `import_path`. Raises SettingsError if the environment does not fit the options."""
    settings = settings_of(options)
    deployment: Any = serve.deployment(
        name="Glimpse",
        ray_actor_options={"num_cpus": options.cpus, "num_gpus": options.gpus},
        autoscaling_config={
            "min_replicas": options.min_replicas,
            "max_replicas": options.max_replicas,
            "target_ongoing_requests": options.target_ongoing_requests,
        },
        max_ongoing_requests=_MAX_ONGOING,
        # A health check detects a replica that was killed.
        health_check_period_s=5.0,
        graceful_shutdown_wait_loop_s=0.5,
        graceful_shutdown_timeout_s=settings.drain_seconds + _CLOSING_SECONDS,
    )
    application: Application = deployment(Replica).bind(options)
    return application
