"""The models that a Playground server lists, in the shape of each of its versions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Dialect: TypeAlias = Literal["threads", "stream", "mid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaygroundModel:
    """A model on offer.

    Attributes:
        id: what a request asks for.
        name: what people call it.
        host: where it runs; the older dialects want it named in each request.
        description: one line.
        system_prompt: the text that becomes the first message of each of its threads.
        is_deprecated: still served when asked for.
        is_visible: offered to people.
        family_id: the family's short name.
        family_name: the family's name.
        can_think: streams its reasoning.
        tools: names of the tools it can call on the server.
        file_rules: further keys, for models that take files.
    """

    id: str
    name: str
    host: str = "modal_openai"
    description: str = "d"
    system_prompt: str | None = None
    is_deprecated: bool = False
    is_visible: bool = True
    family_id: str | None = None
    family_name: str | None = None
    can_think: bool = False
    tools: tuple[str, ...] = ()
    file_rules: dict[str, Any] = field(default_factory=dict)


_OLDER = (
    PlaygroundModel(
        id="tulu3-405b",
        name="Llama Tulu 3 405B",
        host="inferd",
        family_id="tulu",
        family_name="Tulu",
    ),
    PlaygroundModel(
        id="olmo-sys",
        name="OLMo with a system prompt",
        host="inferd",
        system_prompt="You are OLMo 2 Instruct.",
    ),
    PlaygroundModel(id="tulu-3-1-8b", name="Tulu 3.1 8B", host="modal"),
    PlaygroundModel(
        id="old-model", name="Old", host="inferd", is_deprecated=True, is_visible=False
    ),
)

_RANDOM_NUMBER = "create_random_number"
_TOOL_TEXTS = {_RANDOM_NUMBER: "Generates a random number between 1 and 10"}

_NEWER = (
    PlaygroundModel(
        id="cs-OLMo-2-0325-32B-Instruct",
        name="OLMo 2 32B Instruct",
        host="cirrascale_backend",
        description="Ai2's 32B model using the OLMo2 architecture.",
        system_prompt="You are OLMo 2 Instruct, a helpful, open-source AI Assistant built by "
        "the Allen Institute for AI.",
        family_id="olmo",
        family_name="OLMo",
    ),
    PlaygroundModel(
        id="tulu3-405b",
        name="Llama Tülu 3 405B",
        host="inferd",
        description="A 405B parameter model that is a fine-tuned version of Llama 2.",
        family_id="tulu",
        family_name="Tülu",
    ),
    PlaygroundModel(
        id="mm-olmo-uber-model-v4-synthetic",
        name="Molmo",
        host="modal",
        description="Molmo",
        family_id="molmo",
        family_name="Molmo",
        file_rules={
            "accepted_file_types": ["image/*"],
            "allow_files_in_followups": False,
            "max_files_per_message": 1,
            "max_total_file_size": None,
            "require_file_to_prompt": "first_message",
        },
    ),
    PlaygroundModel(
        id="qwen3-openai",
        name="Qwen3",
        description="Qwen3 hosted to test thinking and tool calls",
        can_think=True,
        tools=(_RANDOM_NUMBER,),
    ),
    PlaygroundModel(
        id="test-model",
        name="Test Model",
        host="test_backend",
        description="A fake model to test with",
        system_prompt="You are a fake model used for testing",
        tools=(_RANDOM_NUMBER,),
    ),
    PlaygroundModel(
        id="test-model-no-tools",
        name="Test Model No Tools",
        host="test_backend",
        description="A fake model to test with. (no tools)",
        system_prompt="You are a fake model used for testing",
    ),
)

# Source: the option limits that the newest server lists for each model of its seed data.
_OPTION_LIMITS = {
    "max_tokens_default": 2048,
    "max_tokens_lower": 1,
    "max_tokens_step": 1,
    "max_tokens_upper": 2048,
    "stop_default": None,
    "temperature_default": 0.7,
    "temperature_lower": 0.0,
    "temperature_step": 0.01,
    "temperature_upper": 1.0,
    "top_p_default": 1.0,
    "top_p_lower": 0.0,
    "top_p_step": 0.01,
    "top_p_upper": 1.0,
}


def default_models(dialect: Dialect) -> tuple[PlaygroundModel, ...]:
    """Return the models of the recorded servers."""
    return _NEWER if dialect == "threads" else _OLDER


def listed(model: PlaygroundModel, *, dialect: Dialect, path: str) -> dict[str, Any]:
    """Return *model* as the list at *path* shows it."""
    shape: dict[str, Any] = {
        "description": model.description,
        "family_id": model.family_id,
        "family_name": model.family_name,
        "host": model.host,
        "id": model.id,
        "is_deprecated": model.is_deprecated,
        "is_visible": model.is_visible,
        "model_type": "chat",
        "name": model.name,
        "system_prompt": None if dialect == "threads" else model.system_prompt,
    }
    if path.startswith("/v4/") or model.file_rules:
        shape |= {
            "accepts_files": bool(model.file_rules),
            "internal": False,
            "prompt_type": "multi_modal" if model.file_rules else "text_only",
            **model.file_rules,
        }
    if dialect == "threads":
        shape |= _OPTION_LIMITS | {
            "available_tools": [
                {"description": _TOOL_TEXTS.get(tool, tool), "mcpServerId": None, "name": tool}
                for tool in model.tools
            ],
            "can_call_tools": bool(model.tools),
            "can_think": model.can_think,
            "infini_gram_index": None,
            "information_url": None,
        }
    return shape


def tool_definition(name: str) -> dict[str, Any]:
    """Return a tool of the server as messages carry it."""
    return {
        "description": _TOOL_TEXTS.get(name, name),
        "name": name,
        "parameters": {"additionalProperties": False, "properties": {}, "type": "object"},
        "toolSource": "internal",
    }
