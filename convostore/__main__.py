"""Run the command line program: `python -m convostore`."""

from __future__ import annotations

from convostore.cli.main import main

main()
