"""What the Playground's server accepts, and how it says no.

Source: olmo-api, CreateMessageRequest and CreateMessageRequestWithFullMessages of each version;
the texts of the errors are those of the recorded traffic.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convostore.testing.playground_form import camel

if TYPE_CHECKING:
    from convostore.testing.playground_form import Form
    from convostore.testing.playground_models import Dialect

CAPTCHA_MISSING = "Failed to evaluate captcha. Please reload the page and try again."

_TRUE = ("1", "on", "t", "true", "y", "yes")  # Source: pydantic, booleans
_FALSE = ("0", "off", "f", "false", "n", "no")
_FLOAT_REST = 1e-6  # what a float division leaves over
_SHOWN_INPUT = 50  # pydantic cuts a longer input in the middle
_REASONS = {
    400: "BAD REQUEST",
    401: "The server could not verify that you are authorized to access the URL requested. You "
    "either supplied the wrong credentials (e.g. a bad password), or your browser doesn't "
    "understand how to supply the credentials required.",
    403: "You don't have the permission to access the requested resource. It is either "
    "read-protected or not readable by the server.",
    404: "The requested URL was not found on the server. If you entered the URL manually please "
    "check your spelling and try again.",
    405: "The method is not allowed for the requested URL.",
    413: "The data value transmitted exceeds the capacity limit.",
    500: "Internal Server Error",
}


class RefusedError(Exception):
    """The server answers with an error document instead of doing what was asked.

    Attributes:
        status: the HTTP status.
        document: the JSON body.
    """

    def __init__(
        self, status: int, message: str | None = None, problems: list[dict[str, Any]] | None = None
    ) -> None:
        self.status = status
        text = _REASONS[status] if message is None else message
        super().__init__(text)
        error: dict[str, Any] = {"code": status, "message": text}
        if problems:
            error["validation_errors"] = problems
        self.document: dict[str, Any] = {"error": error}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the fields."""

    where: tuple[str, ...]
    text: str
    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Checker:
    """Say no in the words of one version of the server.

    Attributes:
        version: of pydantic, as it stands in the links.
        echoes: whether the input is repeated in the body.
    """

    version: str
    echoes: bool

    def refusal(self, title: str, problems: list[Problem]) -> RefusedError:
        """Return the error for *problems* with the object named *title*."""
        plural = "s" if len(problems) > 1 else ""
        text = f"{len(problems)} validation error{plural} for {title}"
        return RefusedError(
            400,
            text + "".join(self._sentence(problem) for problem in problems),
            [self._entry(problem) for problem in problems],
        )

    def _sentence(self, problem: Problem) -> str:
        where = "\n" + ".".join(problem.where) if problem.where else ""
        shown = repr(problem.value)
        if len(shown) > _SHOWN_INPUT:
            half = _SHOWN_INPUT // 2
            shown = f"{shown[:half]}...{shown[-half + 1 :]}"
        return (
            f"{where}\n  {problem.text} [type={problem.kind}, input_value={shown}, "
            f"input_type={type(problem.value).__name__}]\n"
            f"    For further information visit {self._url(problem)}"
        )

    def _entry(self, problem: Problem) -> dict[str, Any]:
        entry = {
            "loc": list(problem.where),
            "msg": problem.text,
            "type": problem.kind,
            "url": self._url(problem),
        }
        return entry | {"input": problem.value} if self.echoes else entry

    def _url(self, problem: Problem) -> str:
        return f"https://errors.pydantic.dev/{self.version}/v/{problem.kind}"


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric field and its limits; None is no limit."""

    name: str
    whole: bool
    default: float | None
    low: float | None = None
    high: float | None = None
    step: float | None = None


# Source: olmo-api of 2025, GET /v3/schema.
_OLDER_NUMBERS = (
    Number("max_tokens", True, 2048, 1, 2048),
    Number("temperature", False, 0.7, 0.0, 1.0, 0.01),
    Number("n", True, 1, 1, 1),
    Number("top_p", False, 1.0, 0.01, 1.0, 0.01),
    Number("logprobs", True, None, 0, 10),
)
# Source: olmo-api of 2026; what has no limit here is held against the model's limits.
_NEWER_NUMBERS = (
    Number("max_tokens", True, None),
    Number("temperature", False, None),
    Number("top_p", False, None),
    Number("n", True, 1, 1, 1),
    Number("logprobs", True, None, 0, 10),
)
_ROLES = {
    "threads": ("user", "assistant", "system", "tool_call_result"),
    "stream": ("user", "assistant", "system"),
    "mid": ("user", "assistant", "system"),
}


@dataclass(slots=True, kw_only=True)
class SendRequest:
    """The fields of a turn, checked one by one but not yet against what is kept."""

    content: str
    model: str
    host: str = ""
    parent: str | None = None
    role: str = "user"
    original: str | None = None
    private: bool = False
    template: str | None = None
    captcha_token: str | None = None
    bypass_safety_check: bool = False
    tool_call_id: str | None = None
    tool_definitions: list[dict[str, Any]] = field(default_factory=list)
    input_parts: list[dict[str, Any]] = field(default_factory=list)
    selected_tools: list[str] = field(default_factory=list)
    numbers: dict[str, float | None] = field(default_factory=dict)
    stop: list[str] | None = None


def checker_for(dialect: Dialect) -> Checker:
    """Return the voice of that version of the server."""
    return Checker("2.12", echoes=False) if dialect == "threads" else Checker("2.10", echoes=True)


def read_send_request(form: Form, *, dialect: Dialect, captcha_required: bool) -> SendRequest:
    """Check the fields and put them in order.

    Raises:
        RefusedError: 400, naming every field that is wrong.
    """
    newer = dialect == "threads"
    title = "CreateMessageRequest" if newer else "CreateMessageRequestV4"
    checker = checker_for(dialect)
    reader = _FieldReader(form)
    content = form.get("content") if newer else reader.required("content", at_least=1)
    role = reader.choice("role", "user", _ROLES[dialect])
    private = reader.boolean("private")
    model = reader.required("model")
    host = form.get("host") or "" if newer else reader.required("host")
    captcha_token = form.get("captcha_token")
    if captcha_required and captcha_token is None:
        reader.problem(("captcha_token",), f"Value error, {CAPTCHA_MISSING}", "value_error", None)
    bypass = reader.boolean("bypass_safety_check") if newer else False
    limits = _NEWER_NUMBERS if newer else _OLDER_NUMBERS
    numbers = {number.name: reader.number(number) for number in limits}
    tools = reader.objects("tool_definitions") if newer else []
    parts = reader.objects("input_parts") if newer else []
    if reader.problems:
        raise checker.refusal(title, reader.problems)
    stop = [_text(one) for one in form.repeated.get("stop", [])]
    request = SendRequest(
        content=_text(content).replace("\r\n", "\n") if newer else _text(content),
        model=_text(model),
        host=_text(host),
        parent=form.get("parent"),
        role=role,
        original=form.get("original"),
        private=private,
        template=form.get("template"),
        captcha_token=captcha_token,
        bypass_safety_check=bypass,
        tool_call_id=form.get("tool_call_id"),
        tool_definitions=tools,
        input_parts=parts,
        selected_tools=[_text(one) for one in form.repeated.get("selected_tools", [])],
        numbers=numbers,
        stop=stop or (None if "opts" in form.raw else []),  # the oldest form tells them apart
    )
    wrong = _wrong_together(request, newer=newer)
    if wrong:
        raise checker.refusal(
            title, [Problem((), f"Value error, {wrong}", "value_error", dict(form.raw))]
        )
    return request


def check_limits(numbers: dict[str, Any]) -> None:
    """Hold the options of the newer dialect against the model's limits.

    Raises:
        RefusedError: 400.
    """
    for name, word, low, high in (
        ("max_tokens", "max tokens", 1, 2048),
        ("temperature", "temperature", 0.0, 1.0),
        ("top_p", "top_p", 0.0, 1.0),
    ):
        value = numbers[name]
        # By its source the real server lets "not a number" pass here, and its database refuses it.
        if value < low or math.isnan(value):
            side = f"greater than or equal to the configured lower limit of {low}"
        elif value > high:
            side = f"less than or equal to the configured upper limit of {high}"
        else:
            continue
        raise RefusedError(400, f"Default {word} must be {side}")


def _wrong_together(request: SendRequest, *, newer: bool) -> str | None:
    if request.original is not None and request.parent == request.original:
        return "The original message cannot also be the parent"
    if request.role == "assistant" and request.parent is None:
        return "Assistant messages must have a parent"
    if newer and not request.content and not request.input_parts:
        return "One of content or inputParts is required"
    return None


class _FieldReader:
    """Read fields one by one and collect what is wrong with them."""

    def __init__(self, form: Form) -> None:
        self.problems: list[Problem] = []
        self._form = form

    def problem(self, where: tuple[str, ...], text: str, kind: str, value: Any) -> None:
        self.problems.append(Problem(where, text, kind, value))

    def required(self, name: str, *, at_least: int = 0) -> Any:
        value = self._form.get(name)
        if value is None:
            self.problem((name,), "Field required", "missing", dict(self._form.raw))
        elif len(_text(value)) < at_least:
            text = f"String should have at least {at_least} character"
            self.problem((name,), text, "string_too_short", value)
        return value

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self._form.get(name)
        if value is None or value in allowed:
            return value or default
        words = ", ".join(repr(one) for one in allowed[:-1]) + f" or {allowed[-1]!r}"
        self.problem((name,), f"Input should be {words}", "enum", value)
        return default

    def boolean(self, name: str) -> bool:
        value = self._form.get(name)
        word = _text(value).lower() if value is not None else "false"
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        text = "Input should be a valid boolean, unable to interpret input"
        self.problem((name,), text, "bool_parsing", value)
        return False

    def number(self, number: Number) -> float | None:
        value = self._form.get(number.name)
        if value is None:
            return number.default
        parsed, problem = check_number(number, value)
        if problem is not None:
            self.problems.append(problem)
        return parsed

    def objects(self, name: str) -> list[dict[str, Any]]:
        """Read a field whose values are JSON objects, or lists of them, as text or as they are."""
        found: list[dict[str, Any]] = []
        for value in self._form.repeated.get(name, []):
            try:
                parsed = json.loads(value) if isinstance(value, str) else value
            except (ValueError, RecursionError) as error:
                self.problem((camel(name),), f"Invalid JSON: {error}", "json_invalid", value)
                continue
            for item in parsed if isinstance(parsed, list) else [parsed]:
                if isinstance(item, dict):
                    found.append(item)
                elif item is not None:
                    text = "Input should be a valid dictionary"
                    self.problem((camel(name),), text, "dict_type", item)
        return found


def check_number(number: Number, value: Any) -> tuple[float | None, Problem | None]:
    """Read one number; a problem says why it cannot be taken."""
    where = (number.name,)
    try:
        parsed: float = int(value) if number.whole else float(value)
    except (ValueError, TypeError, OverflowError):
        kind, article = ("integer", "an integer") if number.whole else ("number", "a number")
        text = f"Input should be a valid {kind}, unable to parse string as {article}"
        code = "int_parsing" if number.whole else "float_parsing"
        return number.default, Problem(where, text, code, value)
    steps = parsed / number.step if number.step and math.isfinite(parsed) else 0.0
    if abs(steps - round(steps)) > _FLOAT_REST:
        text = f"Input should be a multiple of {number.step:g}"
        return parsed, Problem(where, text, "multiple_of", value)
    if number.high is not None and not parsed <= number.high:  # nor does "not a number" pass
        text = f"Input should be less than or equal to {number.high:g}"
        return parsed, Problem(where, text, "less_than_equal", value)
    if number.low is not None and parsed < number.low:
        text = f"Input should be greater than or equal to {number.low:g}"
        return parsed, Problem(where, text, "greater_than_equal", value)
    return parsed, None


def option_schema() -> dict[str, Any]:
    """Return the options' limits as the older servers list them."""
    shape: dict[str, Any] = {
        number.name: {
            "default": number.default,
            "max": number.high,
            "min": number.low,
            "name": number.name,
            "step": number.step or 1,
        }
        for number in _OLDER_NUMBERS
    }
    none = {"default": None, "max": None, "min": None, "name": "stop", "step": None}
    return shape | {"stop": none}


def _text(value: Any) -> str:
    return "" if value is None else str(value)
