"""Metrics over HTTP."""

import re
import socket
import socketserver
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

import click
from prometheus_client import CollectorRegistry, MetricsHandler

PATH = "/metrics"
LOOPBACK = "127.0.0.1"


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """HOST:PORT, [IPv6]:PORT; on loopback: :PORT, PORT."""
        found = re.fullmatch(r"(?:(?:\[(.+)\]|([^:\[\]]*)):)?([0-9]{1,5})", text)
        if not found or int(found[3]) > 65535:
            raise click.BadParameter(f"{text!r} is no HOST:PORT, with a port up to 65535")
        return cls(found[1] or found[2] or LOOPBACK, int(found[3]))


class Server(socketserver.ThreadingTCPServer):
    """Answers one scrape a thread; none of them keeps it from ending."""

    # Not http.server's own, which asks the name service for our name.
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: Address, registry: CollectorRegistry) -> None:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        self.address_family = found[0][0]
        super().__init__((address.host, address.port), Handler.factory(registry))

    @property
    def url(self) -> str:
        """Where it is served; the port is the real one, also if any was wanted."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is nobody's fault."""


class Handler(MetricsHandler):
    """Metrics at one path, 404 elsewhere."""

    timeout = 10
    """Seconds that a client may keep a thread waiting for its request."""

    def do_GET(self) -> None:
        """Answer a scrape."""
        if urlsplit(self.path).path != PATH:
            self.send_error(HTTPStatus.NOT_FOUND, explain=f"Metrics are at {PATH}")
            return
        try:
            super().do_GET()
        except ConnectionError:
            raise
        except OSError as error:
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, explain=str(error))


def serve(address: Address, registry: CollectorRegistry) -> None:
    """Serve until interrupted."""
    with Server(address, registry) as server:
        click.echo(f"serving {server.url}", err=True)
        server.serve_forever()
