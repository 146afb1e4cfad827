"""What `glimpse.server.ray.app` deploys: a proxy that tells replicas the deadline, and replicas that answer."""
