"""Glimpse on Ray Serve: a proxy that forwards deadlines, and replicas that answer. `ray/app.py` deploys it."""
