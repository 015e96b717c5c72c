"""`python -m lrp_widgets [--port 8866] [--visitors N] [--host NAME] [--no-fork] [--no-browser] [APP]`: serve an app.

`python -m lrp_widgets --status [--port 8866]`: visits, memory and queue of a server that runs.
`python -m lrp_widgets export [--samples 20] [--state STATE] FOLDER`: a site of pages that need no Python.
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
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["export"]:
        export(arguments[1:])
        return
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


def export(arguments: Sequence[str]) -> None:
    """Write a site about the digits into a folder. A mistake ends with status 2 and a line on what to do."""
    parser = argparse.ArgumentParser(
        prog="python -m lrp_widgets export",
        description="Write pages that need no Python and no server: a gallery of digits, and sliders for each.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="where to; it is made, or must be empty")
    parser.add_argument("--samples", type=int, default=20, metavar="N", help="how many inputs (default: 20)")
    parser.add_argument(
        "--state", help='the method and look of the pages: a link of the app, or what "copy state" gave (default: LRP)'
    )
    options = parser.parse_args(arguments)
    # Imported here because it takes long: a mistake on the command line is answered before.
    from lrp_widgets.apps.sharing.site import export_site
    from lrp_widgets.demo import data, models

    def progress(done: int, of: int) -> None:
        print(f"\r{done} of {of} pages", end="" if done < of else "\n", flush=True)

    try:
        page = export_site(
            models.digits_cnn(), data.digits(), options.folder, options.samples, state=options.state, progress=progress
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"lrp_widgets: open {page}, or put the folder where a web server finds it")


if __name__ == "__main__":
    main()
