"""`python -m fedzmq` is the `fedzmq` command."""

from __future__ import annotations

from fedzmq.cli.main import main

if __name__ == "__main__":
    main()
