"""The gRPC service. Read `app.py` first: it is the server from top to bottom."""
