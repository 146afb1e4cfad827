"""Who may come in, and what they may do: listeners, credentials, scopes, limits.

    metadata ─▶ gate ─▶ key or token ─▶ scope of the rpc ─▶ requests a second ─▶ handler ─▶ collection ─▶ inputs, bytes

Up to the handler nothing of a message has been read. `glimpse.server.caller.current()` carries the outcome from there.
"""
