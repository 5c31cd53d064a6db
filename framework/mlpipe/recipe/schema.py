"""The JSON Schema of recipes, with every installed plugin's settings, for editors."""

from typing import Any

from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.models import Recipe

_REFERENCE = {"type": "string", "pattern": r"\$\{", "description": "A reference, as ${params.x}."}
_PLAIN = ("integer", "number", "boolean", "array", "object")


def recipe_schema(plugins: PluginManager) -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of recipes.

    Args:
        plugins: Those whose ``with:`` blocks are described; quarantined ones are left out.
    """
    schema = Recipe.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    stage = definitions["StageSpec"]
    rules, uses = [], []
    for name in plugins.names():
        plugin = plugins.get(name)
        if plugin.cause is not None:
            continue
        for verb in plugin.verbs():
            uses.append(f"{name}.{verb}")
            key = f"{name}.{plugin.config_type(verb).__name__}"
            if key not in definitions:
                _add(definitions, key, plugin.config_type(verb).model_json_schema())
            rules.append(
                {
                    "if": {"properties": {"uses": {"const": f"{name}.{verb}"}}},
                    "then": {"properties": {"with": {"$ref": f"#/$defs/{key}"}}},
                }
            )
    stage["properties"]["uses"]["examples"] = uses
    stage["allOf"] = rules
    schema["required"] = ["stages"]
    _allow_references(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _add(definitions: dict[str, Any], key: str, schema: dict[str, Any]) -> None:
    """Add a plugin's schema, its own definitions under names of their own."""
    inner = schema.pop("$defs", {})
    definitions[key] = _renamed(schema, key)
    for name, each in inner.items():
        definitions[f"{key}.{name}"] = _renamed(each, key)


def _renamed(value: Any, prefix: str) -> Any:
    if isinstance(value, dict):
        return {
            key: f"#/$defs/{prefix}.{item.removeprefix('#/$defs/')}"
            if key == "$ref"
            else _renamed(item, prefix)
            for key, item in value.items()
        }
    return [_renamed(item, prefix) for item in value] if isinstance(value, list) else value


def _allow_references(schema: dict[str, Any]) -> None:
    """Let a text with a reference stand for each value that is no text."""
    for definition in [schema, *schema["$defs"].values()]:
        for name, field in definition.get("properties", {}).items():
            definition["properties"][name] = _or_reference(field)


def _or_reference(field: dict[str, Any]) -> dict[str, Any]:
    if field.get("type") in _PLAIN or "$ref" in field:
        about: dict[str, Any] = {
            key: field.pop(key) for key in ("description", "default", "title") if key in field
        }
        return {**about, "anyOf": [_nested(field), _REFERENCE]}
    if "anyOf" in field and not any(each.get("type") == "string" for each in field["anyOf"]):
        return {**field, "anyOf": [*map(_nested, field["anyOf"]), _REFERENCE]}
    return field


def _nested(field: dict[str, Any]) -> dict[str, Any]:
    for key in ("additionalProperties", "items"):
        if isinstance(field.get(key), dict):
            field = {**field, key: _or_reference(dict(field[key]))}
    return field
