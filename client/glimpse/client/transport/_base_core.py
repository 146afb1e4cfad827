"""The settings of a client and its channel, which the sync and the async client share."""

from __future__ import annotations

from typing import Any

import grpc

from glimpse.client.transport._address import Address
from glimpse.client.transport._channel import MAX_MESSAGE_BYTES, Metadata, Options, channel_options, stubs_of
from glimpse.client.transport._credentials import AnyPath, Security
from glimpse.client.transport._retry import DEFAULT_RETRY, Deadline, Link, Retry, Session


class BaseCore:
    """Holds the channel to one server and the settings of every call."""

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout: float = 60.0,
        retry: Retry | None = None,
        api_key: str | None = None,
        tls: bool | None = None,
        tls_ca: AnyPath | None = None,
        tls_cert: AnyPath | None = None,
        tls_key: AnyPath | None = None,
        insecure: bool | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Metadata = (),
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        """Opens a channel to a server. The client connects when the first call is made.

        Args:
            address: `HOST`, `HOST:PORT`, `dns:///HOST:PORT`, `ipv4:A:PORT,B:PORT` or `unix:PATH`. The default port is
                50051. None: the environment variable GLIMPSE_SERVER, or else `127.0.0.1:50051`.
            timeout: Seconds that a call may take, retries included. `math.inf` means no limit. Every method takes a
                timeout of its own, which replaces this one.
            retry: When a failed call is sent again. None: the defaults of `Retry`, except that a client that has never
                connected gives up within 3 seconds. Use `wait_ready` to wait longer for a server that is starting.
            api_key: An API key (`glimpse keys create`) or a token, sent with every call. None: GLIMPSE_API_KEY. An
                empty string: no key. Without TLS, the key is sent only to addresses of this machine.
            tls: True: use TLS, with the system's certificate authorities unless `tls_ca` is given. False: never use
                TLS. None: use TLS if GLIMPSE_TLS is 1 or a certificate file is given.
            tls_ca: PEM file with the authorities that signed the server's certificate. None: GLIMPSE_TLS_CA.
            tls_cert: PEM file with this client's certificate, for mutual TLS. None: GLIMPSE_CLIENT_CERT.
            tls_key: PEM file with the private key of `tls_cert`. None: GLIMPSE_CLIENT_KEY.
            insecure: True: send `api_key` in plain text to any address. None: GLIMPSE_CLIENT_INSECURE.
            credentials: gRPC channel credentials, used instead of the TLS arguments.
            metadata: Pairs of name and value that are sent with every call.
            max_message_bytes: The server's limit of one request, in bytes. Default: 32 MiB.

        Raises:
            ValueError: If the address is malformed, if arguments contradict each other, or if an API key would be sent
                in plain text to another machine.
            OSError: If a certificate file cannot be read.
        """
        place = Address.of(address)
        security = Security.of(place, credentials, api_key, tls, tls_ca, tls_cert, tls_key, insecure, metadata)
        options = channel_options(max_message_bytes, proxy=security.may_use_proxy)
        self.address = place.target
        self._timeout = timeout
        self._retry = retry or DEFAULT_RETRY
        self._metadata = security.metadata
        self._max_bytes = max_message_bytes
        self._link = Link(self.address)
        self._channel = self._open_channel(security.credentials, options)
        self._stubs = stubs_of(self._channel)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r}, timeout={self._timeout:g})"

    def _open_channel(self, credentials: grpc.ChannelCredentials | None, options: Options) -> Any:
        raise NotImplementedError

    def _session(self, timeout: float | None) -> Session:
        deadline = Deadline(self._timeout if timeout is None else timeout)
        return Session(deadline, self._retry, self._max_bytes, self._link)
