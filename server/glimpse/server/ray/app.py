"""Glimpse on Ray Serve: replicas on one PostgreSQL ledger, as many as the calls need, behind Serve's gRPC proxy.

serve run server/deploy/ray/serve.yaml
"""

from typing import Any

from ray import serve
from ray.serve import Application

from glimpse.server.ray.options import Options, settings_of
from glimpse.server.ray.replica import Replica

# Past this Serve keeps calls waiting; a replica refuses the surplus before, and says when to come back.
_MOST_ONGOING = 4_096
# What closing takes beside the drain.
_CLOSING_SECONDS = 10.0


def app(options: Options) -> Application:
    """The application, for `import_path`. Raises SettingsError where this process's variables do not go with it."""
    settings = settings_of(options)
    settle: Any = serve.deployment(
        name="Glimpse",
        ray_actor_options={"num_cpus": options.cpus, "num_gpus": options.gpus},
        autoscaling_config={
            "min_replicas": options.min_replicas,
            "max_replicas": options.max_replicas,
            "target_ongoing_requests": options.target_ongoing_requests,
        },
        max_ongoing_requests=_MOST_ONGOING,
        # A replica that was killed is missed when it is asked for its health.
        health_check_period_s=5.0,
        graceful_shutdown_wait_loop_s=0.5,
        graceful_shutdown_timeout_s=settings.drain_seconds + _CLOSING_SECONDS,
    )
    application: Application = settle(Replica).bind(options)
    return application
