"""`python -m lrp_widgets [--port 8866] [--visitors N] [--host NAME] [--no-fork] [--no-browser] [APP]`: serve an app.

`python -m lrp_widgets --status [--port 8866]`: visits, memory and queue of a server that runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lrp_widgets.apps.serving.serve import PORT, notebook, serve
from lrp_widgets.apps.serving.status import describe, status

FORMER_NAMES = {"evaluate": "quality"}  # what an app was called before, and what it is called now


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the app that the command line names. A mistake in it ends with status 2 and a line on what to do."""
    parser = argparse.ArgumentParser(
        prog="python -m lrp_widgets", description="Serve an app in the browser, on loopback."
    )
    parser.add_argument("app", metavar="APP", nargs="?", default="explore", help="the app to serve (default: explore)")
    parser.add_argument("--port", type=int, default=PORT, help=f"the port to listen on (default: {PORT})")
    parser.add_argument(
        "--host",
        metavar="NAME",
        action="append",
        default=[],
        help="a name by which a proxy on this machine is reached; may be given several times",
    )
    parser.add_argument(
        "--visitors",
        type=int,
        metavar="N",
        help="how many pages may be open at once (default: what there is memory and time for)",
    )
    parser.add_argument(
        "--no-fork",
        action="store_true",
        help="start a Python of its own for each page, which takes more time and memory; "
        "default where the system has no fork that libraries survive",
    )
    parser.add_argument(
        "--status", action="store_true", help="tell visits, memory and queue of the server on this port, and end"
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    options = parser.parse_args(arguments)
    app: str = options.app
    if app in FORMER_NAMES:
        print(f"{parser.prog}: the app {app} is called {FORMER_NAMES[app]} now.", file=sys.stderr)
        app = FORMER_NAMES[app]
    try:
        if options.status:
            print(describe(status(options.port)))
            return
        serve(
            notebook(app),
            options.port,
            browser=not options.no_browser,
            hosts=options.host,
            visitors=options.visitors,
            fork=not options.no_fork,
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:  # before the server runs, which ends at Ctrl-C without an exception
        sys.exit(130)


if __name__ == "__main__":
    main()
