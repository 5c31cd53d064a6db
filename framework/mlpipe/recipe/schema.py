"""The JSON Schema of recipes, with every installed plugin's settings, for editors."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from mlpipe.plugins.inspection import Plugin
from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.models import Recipe

_REFERENCE = MappingProxyType(
    {"type": "string", "pattern": r"\$\{", "description": "A reference, as ${params.x}."}
)
_DEFINITIONS = "#/$defs/"
_ABOUT = ("title", "description", "default", "examples", "deprecated", "x-mlpipe")
_LIMITS_OF_TEXT = ("pattern", "enum", "const", "format", "minLength", "maxLength")


def recipe_schema(plugins: PluginManager) -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of recipes.

    Args:
        plugins: Those whose settings are described; quarantined ones are left out.
    """
    schema = Recipe.model_json_schema(by_alias=True, schema_generator=_Documented)
    definitions: dict[str, Any] = schema["$defs"]
    healthy = [plugin for name in plugins.names() if (plugin := plugins.get(name)).cause is None]
    _describe_stages(definitions, healthy)
    schema["properties"]["observers"] = _observers(
        schema["properties"]["observers"], definitions, healthy
    )
    opener = _Opener(definitions)
    for definition in (schema, *definitions.values()):
        definition.update(opener.within(definition))
    _require(schema, definitions["StageSpec"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


class _Documented(GenerateJsonSchema):
    """Describes models and their fields by the models' docstrings."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave out titles, which would only repeat the names."""
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        """Give a model's schema, its docstring taken apart."""
        found = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        about, told = _docstring(model)
        found.pop("title", None)
        if about:
            found["description"] = about
        for name, info in model.model_fields.items():
            each = found.get("properties", {}).get(info.alias or name)
            if each is not None and name in told:
                each.setdefault("description", told[name])
        return found


def _docstring(model: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """Give what a model's docstring says of it, and of its fields by name."""
    told: dict[str, str] = {}
    for each in reversed(model.__mro__):
        text = inspect.cleandoc(vars(each).get("__doc__") or "")
        about, _, block = text.partition("Attributes:\n")
        for name, meaning in re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", block, re.MULTILINE):
            told[name] = " ".join(meaning.split())
    return about.strip(), told


def _describe_stages(definitions: dict[str, Any], plugins: list[Plugin]) -> None:
    """Say which ``uses:`` there are, and what ``with:`` holds for each."""
    stage = definitions["StageSpec"]
    rules, uses = [], []
    for plugin in plugins:
        verbs: dict[type[BaseModel], list[str]] = {}
        for verb in plugin.verbs():
            verbs.setdefault(plugin.config_type(verb), []).append(f"{plugin.name}.{verb}")
        for model, names in verbs.items():
            uses += names
            rules.append(_rule(names, definitions, _add(definitions, plugin.name, model)))
    stage["properties"]["uses"] |= {"enum": uses}
    stage["allOf"] = rules


def _rule(uses: list[str], definitions: Mapping[str, Any], key: str) -> dict[str, Any]:
    settings = _Opener(definitions).value({"$ref": f"{_DEFINITIONS}{key}"})
    then: dict[str, Any] = {"properties": {"with": settings}}
    if definitions[key].get("required"):
        then["required"] = ["with"]
    return {"if": {"properties": {"uses": {"enum": uses}}, "required": ["uses"]}, "then": then}


def _observers(
    schema: dict[str, Any], definitions: dict[str, Any], plugins: list[Plugin]
) -> dict[str, Any]:
    models = {each.name: model for each in plugins if (model := each.observer_config()) is not None}
    known = {
        name: {
            "anyOf": [{"$ref": f"{_DEFINITIONS}{_add(definitions, name, model)}"}, {"type": "null"}]
        }
        for name, model in models.items()
    }
    about = {key: value for key, value in schema.items() if key in _ABOUT}
    return {**about, "type": "object", "properties": known, "additionalProperties": False}


def _add(definitions: dict[str, Any], plugin: str, model: type[BaseModel]) -> str:
    """Add a plugin's model, what it refers to under names of their own; give its name."""
    key = f"{plugin}.{model.__name__}"
    schema = model.model_json_schema(by_alias=True, schema_generator=_Documented)
    inner = schema.pop("$defs", {})
    definitions[key] = _renamed(schema, plugin)
    for name, each in inner.items():
        definitions[f"{plugin}.{name}"] = _renamed(each, plugin)
    return key


def _renamed(value: Any, prefix: str) -> Any:
    if isinstance(value, dict):
        return {
            key: f"{_DEFINITIONS}{prefix}.{item.removeprefix(_DEFINITIONS)}"
            if key == "$ref"
            else _renamed(item, prefix)
            for key, item in value.items()
        }
    return [_renamed(item, prefix) for item in value] if isinstance(value, list) else value


def _require(schema: dict[str, Any], stage: dict[str, Any]) -> None:
    """Require what a recipe needs; one that extends another may leave it out or remove it."""
    schema.pop("required", None)
    stage.pop("required", None)
    for each in schema["properties"]["stages"]["else"]["patternProperties"].values():
        each["else"] = {"if": {"type": "null"}, "else": each["else"]}
    complete = {
        "if": {"type": "object"},
        "then": {"required": ["uses"]},
        "else": {"type": "string"},
    }
    schema["if"] = {"required": ["extends"]}
    schema["else"] = {
        "required": ["stages"],
        "properties": {"stages": {"additionalProperties": complete}},
    }


@dataclass(frozen=True, slots=True)
class _Opener:
    """Lets a text with a reference stand for each value.

    What cannot be a text is told apart by its type, so that a problem within it is shown where
    it is; ``anyOf`` would only say that nothing fits.

    Attributes:
        definitions: What ``$ref`` refers to.
    """

    definitions: Mapping[str, Any]

    def value(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Open a value's schema, and those of the values within it."""
        schema = self.within(schema)
        if _takes_any_text(schema):
            return schema
        about = {key: value for key, value in schema.items() if key in _ABOUT}
        rest = {key: value for key, value in schema.items() if key not in _ABOUT}
        if not self._may_be_text(rest):
            return {**about, "if": {"type": "string"}, "then": dict(_REFERENCE), "else": rest}
        options = rest["anyOf"] if list(rest) == ["anyOf"] else [rest]
        return {**about, "anyOf": [*options, dict(_REFERENCE)]}

    def within(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Open the schemas of the values within one."""
        changed = dict(schema)
        for key in ("properties", "patternProperties"):
            if key in schema:
                changed[key] = {name: self.value(each) for name, each in schema[key].items()}
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                changed[key] = self.value(schema[key])
        if "prefixItems" in schema:
            changed["prefixItems"] = [self.value(each) for each in schema["prefixItems"]]
        for key in ("anyOf", "oneOf"):
            if key in schema:
                changed[key] = [self.within(each) for each in schema[key]]
        if "patternProperties" in schema:
            changed.setdefault("additionalProperties", False)
        return changed

    def _may_be_text(self, schema: Mapping[str, Any]) -> bool:
        if "$ref" in schema:
            return self._may_be_text(self.definitions[schema["$ref"].removeprefix(_DEFINITIONS)])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return any(map(self._may_be_text, schema[key]))
        return "string" in _types(schema)


def _takes_any_text(schema: Mapping[str, Any]) -> bool:
    if "anyOf" in schema:
        return any(map(_takes_any_text, schema["anyOf"]))
    limited = any(key in schema for key in ("$ref", "oneOf", "allOf", *_LIMITS_OF_TEXT))
    return not limited and "string" in _types(schema)


def _types(schema: Mapping[str, Any]) -> list[str]:
    kinds = schema.get("type", "string")
    return kinds if isinstance(kinds, list) else [kinds]
