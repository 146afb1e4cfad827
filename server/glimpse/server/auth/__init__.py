"""Authentication and authorization: listeners, credentials, scopes and rate limits.

    metadata ─▶ key or token ─▶ scope of the rpc ─▶ requests/s ─▶ handler ─▶ inputs/s, bytes/s ─▶ collection

The interceptor reads nothing of a message. From there on, `current_caller()` in caller.py returns the caller.
"""
