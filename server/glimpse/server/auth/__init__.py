"""Who may come in, and what they may do: listeners, credentials, scopes, limits.

    metadata ─▶ gate ─▶ key or token ─▶ scope of the rpc ─▶ requests a second ─▶ handler ─▶ collection ─▶ inputs, bytes

Nothing of a message is read before the handler. `glimpse.server.auth.caller.current()` carries the outcome from there.
"""
