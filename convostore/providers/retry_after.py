"""How long a server asks to wait."""

from __future__ import annotations

import datetime as dt
import email.utils

from convostore import clock

_LONGEST_WAIT_S = 86_400.0  # a server that names more than a day means something else


def retry_after_s(value: str) -> float | None:
    """Return the seconds of a Retry-After header, given as seconds or as a date.

    More than a day is None, as is what cannot be read.
    Source: RFC 9110, section 10.2.3.
    """
    value = value.strip()
    try:
        if value.isdecimal():
            seconds = float(value)
        else:
            moment = email.utils.parsedate_to_datetime(value)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=dt.UTC)
            seconds = max(0.0, moment.timestamp() - clock.now_ms() / 1000)
    except (ValueError, OverflowError):
        return None
    return seconds if seconds <= _LONGEST_WAIT_S else None
