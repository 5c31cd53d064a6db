"""The command ``mlpipe``, also ``python -m mlpipe``."""

import sys


def main() -> int:
    """Run the command line and give its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from mlpipe import __version__

        sys.stdout.write(f"mlpipe {__version__}\n")
        return 0
    from mlpipe.cli.app import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
