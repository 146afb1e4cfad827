"""What `glimpse.server.ray_serve` deploys: a proxy that tells replicas the deadline, and replicas that answer."""
