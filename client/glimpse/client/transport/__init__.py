"""The connection to the server: addresses, credentials, calls, streams, retries and errors."""
