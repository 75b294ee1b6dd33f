"""Number options of a provider (`settings`): which there are, and what they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from convostore.errors import ProviderOptionError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Option(msgspec.Struct, frozen=True):
    """A number that an option takes, both ends included.

    Attributes:
        least: the smallest.
        most: the largest.
        whole: True for whole numbers only.
    """

    least: float
    most: float
    whole: bool = False

    def takes(self, value: object) -> bool:
        """Tell whether *value* is such a number; True and False are none."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return self.least <= value <= self.most

    def __str__(self) -> str:
        """Describe it as in `must be ...`."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.least:,.10g} to {self.most:,.10g}"


def check_options(
    provider: str, settings: Mapping[str, Any], options: Mapping[str, Option]
) -> None:
    """Refuse settings that are none of *options*, and values that these do not take.

    Raises:
        ProviderOptionError: with a hint; permanent.
    """
    for name, value in settings.items():
        if name not in options:
            raise ProviderOptionError(
                f"{provider} has no option called {name!r}",
                provider=provider,
                hint=f"it takes: -o {', '.join(options)}",
            )
        if not options[name].takes(value):
            raise ProviderOptionError(
                f"the option {name} must be {options[name]}",
                provider=provider,
                hint=f"set it with: -o {name}=VALUE, or leave it out",
            )
