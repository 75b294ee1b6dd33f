"""Where the program begins: `convostore`, or `python -m convostore`.

Ctrl-C while the program is still being loaded ends it at once and without a word: there is nothing
yet that would have to be ended in good order.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # no stub; `signal` takes as long to load as all the rest of `convostore list`

TYPE_CHECKING = False  # and so does `typing`
if TYPE_CHECKING:
    from typing import NoReturn


def run() -> NoReturn:
    """Load the program, run it, and end the process with its exit code."""
    heard = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
    if heard:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from convostore.cli.main import main

    main(heard=heard)


if __name__ == "__main__":
    run()
