"""Command ``serve``: a page on this machine where a clip or a camera is judged, in any browser.

It is reached at 127.0.0.1 only. Uploads and films lie in a temporary folder until they are fetched, for some minutes
at most; nothing is kept. Ctrl-C ends it.
"""

import contextlib
import shutil
import socket
import tempfile
from pathlib import Path

from mien.core import config
from mien.core.errors import ConfigError

HOST = "127.0.0.1"
MOST_CONNECTIONS = 64
END_S = 3  # for answers under way when it ends


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--port", type=int, metavar="N", help="port on 127.0.0.1; 0: any free one")
    parser.add_argument(
        "--checkpoint", type=Path, nargs="+", default=[], metavar="FILE", help="model.safetensors of running networks"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="where training left its models")


def run(args) -> None:
    """Serve the page until Ctrl-C."""
    import torch

    from mien.predict.live import warm_up
    from mien.predict.live_models import load_live, trained_live
    from mien.predict.web.judging import engine_of

    params = config.load(args.config)
    settings = config.section(config.ServeConfig, params, "serve")
    watch = config.section(config.WatchConfig, params, "watch")
    candide = config.section(config.CandideConfig, params, "candide")
    torch.set_num_threads(max(1, args.jobs))
    files = args.checkpoint
    if not files:
        corpus = config.section(config.StreamingConfig, params, "streaming").corpus
        files = trained_live(args.results, watch, corpus=corpus)
    with listen(settings.port if args.port is None else args.port) as door:
        models = load_live(files)
        warm_up(models)
        remove_leftovers()
        with contextlib.suppress(KeyboardInterrupt):
            serve(engine_of(models, watch=watch, candide=candide), settings, door)


def listen(port: int) -> socket.socket:
    """Return a socket at 127.0.0.1 that listens.

    Raises
    ------
    ConfigError : the port is none, or taken.
    """
    if not 0 <= port < 2**16:
        raise ConfigError(f"--port {port}: a port is in 0..65535")
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise ConfigError(f"{HOST}:{port} cannot be used ({error.strerror}); choose another --port, or 0") from error


def serve(engine, settings: config.ServeConfig, door: socket.socket) -> None:
    """Answer at a socket until a signal ends it."""
    server, address = make_server(engine, settings, door)
    print(f"open {address} in a browser on this machine; Ctrl-C ends", flush=True)
    server.run(sockets=[door])


def make_server(engine, settings: config.ServeConfig, door: socket.socket):
    """Return the uvicorn server of the page, and the address of the page."""
    import uvicorn

    from mien.predict.web.app import build_app
    from mien.predict.web.guard import PatientProtocol

    port = door.getsockname()[1]
    hosts = {f"{name}:{port}" for name in (HOST, "localhost")} | ({HOST, "localhost"} if port == 80 else set())
    options = uvicorn.Config(
        build_app(engine, settings, hosts=frozenset(hosts)),
        http=PatientProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=END_S,
    )
    return uvicorn.Server(options), f"http://{HOST}:{port}/"


def remove_leftovers() -> None:
    """Remove the folders of servers that were killed before they could."""
    from mien.predict.web.app import PREFIX

    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        process = folder.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdigit() and not Path("/proc", process).exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
