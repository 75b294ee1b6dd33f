"""The Playground's models: what its list says, and the names that older clients knew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convostore.providers.provider import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

# Source: gpt4free, AllenAI provider (0.5.1): the hosts of the models it knows.
HOSTS = {
    "tulu3-405b": "inferd",
    "OLMo-2-1124-13B-Instruct": "modal",
    "tulu-3-1-8b": "modal",
    "Llama-3-1-Tulu-3-70B": "modal",
    "olmoe-0125": "modal",
    "olmo-2-0325-32b-instruct": "modal",
    "mm-olmo-uber-model-v4-synthetic": "modal",
}
# Source: as HOSTS.
ALIASES = {
    "tulu-3-405b": "tulu3-405b",
    "llama-3.1-405b": "tulu3-405b",
    "olmo-2-13b": "OLMo-2-1124-13B-Instruct",
    "olmo-2-32b": "olmo-2-0325-32b-instruct",
    "olmo-1-7b": "olmoe-0125",
    "llama-3.1-8b": "tulu-3-1-8b",
    "tulu-3-70b": "Llama-3-1-Tulu-3-70B",
    "llama-3.1-70b": "Llama-3-1-Tulu-3-70B",
    "olmo-4-synthetic": "mm-olmo-uber-model-v4-synthetic",
}
DEFAULT_HOST = "modal"  # the server takes any word but inferd for it


class ListedModel(msgspec.Struct, frozen=True):
    """A model in the server's list; hidden and deprecated ones are served when asked for."""

    id: str
    name: str | None = None
    host: str | None = None
    description: str | None = None
    is_visible: bool = True
    is_deprecated: bool = False
    temperature_default: float | None = None
    top_p_default: float | None = None
    max_tokens_default: int | None = None
    accepts_files: bool = False
    accepted_file_types: list[str] | None = None
    allow_files_in_followups: bool | None = None
    max_files_per_message: int | None = None
    max_total_file_size: int | None = None

    def info(self) -> ModelInfo:
        """Return it as any provider describes a model."""
        options = {
            "temperature": self.temperature_default,
            "top_p": self.top_p_default,
            "max_tokens": self.max_tokens_default,
        }
        return ModelInfo(
            id=self.id,
            name=self.name or self.id,
            host=self.host,
            description=" ".join((self.description or "").split()),
            deprecated=self.is_deprecated,
            defaults={name: value for name, value in options.items() if value is not None},
            accepts=tuple(self.accepted_file_types or ("*/*",)) if self.accepts_files else (),
        )


_list = msgspec.json.Decoder(list[ListedModel])


def parse_models(body: bytes) -> list[ListedModel]:
    """Decode the server's model list, hidden models included.

    Raises:
        msgspec.DecodeError: not JSON, or not such a list.
    """
    return _list.decode(body)


def named(name: str, listed: Sequence[ListedModel]) -> ListedModel | None:
    """Return the listed model that a person means by *name*; None where the list has none such."""
    by_id = {model.id: model for model in listed}
    return by_id.get(name) or by_id.get(ALIASES.get(name, name))


def chosen(name: str, listed: Sequence[ListedModel], host: str | None) -> ModelInfo:
    """Say what to ask the server for when a person asks for *name*.

    Args:
        name: a model's id, or an alias that older clients knew.
        listed: the server's list; empty where it cannot be had.
        host: the host to name for a model that neither the list nor `HOSTS` has.
    """
    if (found := named(name, listed)) is not None:
        return found.info()
    model_id = ALIASES.get(name, name)
    return ModelInfo(id=model_id, host=HOSTS.get(model_id) or host or DEFAULT_HOST)
