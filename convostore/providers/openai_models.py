"""The models that a server of chat completions lists."""

from __future__ import annotations

from typing import Any

import msgspec

from convostore.providers.provider import ModelInfo


def parse_models(body: bytes) -> list[ModelInfo] | None:
    """Read a list of models; None where it is none.

    Servers wrap it in `data` or `models`, or not at all, and say little of each model: whether it
    takes images is told by some routers alone.
    """
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(value, dict):
        beside = value.get("models")
        value = value.get("data", beside)
        told = _named(beside)
    else:
        told = {}
    if not isinstance(value, list):
        return None
    found = _named(value)
    return [_info(id_, {**told.get(id_, {}), **one}) for id_, one in found.items()]


def _named(value: object) -> dict[str, dict[str, Any]]:
    """Return the models of a list by their ids, in order."""
    found: dict[str, dict[str, Any]] = {}
    for one in value if isinstance(value, list) else ():
        if isinstance(one, dict):
            id_ = one.get("id") or one.get("name") or one.get("model")
            if isinstance(id_, str) and id_:
                found.setdefault(id_, one)
    return found


def _info(id: str, told: dict[str, Any]) -> ModelInfo:
    name, about = told.get("name"), told.get("description")
    return ModelInfo(
        id=id,
        name=name if isinstance(name, str) and name else id,
        description=" ".join(about.split()) if isinstance(about, str) else "",
        accepts=("text/*", *(("image/*",) if takes_images(told) is not False else ())),
    )


def takes_images(told: dict[str, Any]) -> bool | None:
    """Return what a server says of a model and images; None where it says nothing.

    Source: OpenRouter (architecture.input_modalities), Mistral (capabilities.vision), llama.cpp
    (capabilities with multimodal).
    """
    architecture, can = told.get("architecture"), told.get("capabilities")
    if isinstance(architecture, dict) and isinstance(architecture.get("input_modalities"), list):
        return "image" in architecture["input_modalities"]
    if isinstance(can, dict) and isinstance(can.get("vision"), bool):
        return bool(can["vision"])
    if isinstance(can, list) and "completion" in can:
        return "multimodal" in can or "vision" in can
    return None
