"""Where `resnet-gen` and `python -m resnet_gen` begin."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line; Ctrl-C ends it quietly from its first import on."""
    try:
        from resnet_gen.cli.main import main as run  # noqa: PLC0415  (the import may be what ends)

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
