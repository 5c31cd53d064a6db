"""``mlpipe plugins``: list, show."""

import inspect
import json
from typing import Annotated, Any

import typer

from mlpipe.cli.common import JsonOption
from mlpipe.console import Console
from mlpipe.errors import UserError
from mlpipe.plugins.inspection import Plugin
from mlpipe.plugins.manager import PluginManager, UnknownPlugin

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def plugins() -> None:
    """List plugins; show what they take."""


@app.command("list")
def list_plugins(as_json: JsonOption = False) -> None:
    """List all installed plugins, broken ones with the cause."""
    console = Console()
    manager = PluginManager.discover()
    found = [manager.get(name) for name in manager.names()]
    if as_json:
        console.json([_facts(plugin) for plugin in found])
        return
    console.rows((plugin.name, plugin.version, _serves(plugin)) for plugin in found)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="PLUGIN[.VERB]", help="As sagemaker.train.")],
    as_json: JsonOption = False,
) -> None:
    """Show what a plugin serves, or what one of its verbs takes."""
    console = Console()
    manager = PluginManager.discover()
    plugin_name, _, verb = name.partition(".")
    try:
        plugin = manager.get(plugin_name)
    except UnknownPlugin:
        known = ", ".join(manager.names())
        raise UserError(f'there is no plugin "{plugin_name}"', fix=f"Installed: {known}.") from None
    if plugin.cause:
        raise UserError(f"is quarantined: {plugin.cause}", where=f"plugin {plugin_name}")
    if verb and verb not in plugin.verbs():
        raise UserError(
            f'{plugin_name} has no verb "{verb}"', fix=f"Its verbs: {', '.join(plugin.verbs())}."
        )
    if as_json:
        console.json(plugin.config_type(verb).model_json_schema() if verb else _facts(plugin))
    elif verb:
        _show_verb(console, plugin, verb)
    else:
        console.out(f"{plugin.name} {plugin.version} ({plugin.distribution})")
        console.rows((f"{plugin.name}.{n}", each.summary) for n, each in plugin.verbs().items())


def _show_verb(console: Console, plugin: Plugin, verb: str) -> None:
    schema = plugin.config_type(verb)
    console.out(f"{plugin.name}.{verb}: {plugin.verbs()[verb].summary}")
    if schema.__doc__:
        console.out(inspect.cleandoc(schema.__doc__))
    properties: dict[str, Any] = schema.model_json_schema()["properties"]
    console.out()
    console.rows(
        (name, _type(field), "required" if info.is_required() else _default(info.default))
        for (name, field), info in zip(
            properties.items(), schema.model_fields.values(), strict=True
        )
    )


def _type(field: dict[str, Any]) -> str:
    if role := field.get("x-mlpipe"):
        return str(role)
    if options := field.get("anyOf"):
        return " | ".join(_type(option) for option in options)
    if reference := field.get("$ref"):
        return str(reference).rpartition("/")[2]
    return str(field.get("type", "any"))


def _default(value: Any) -> str:
    try:
        return f"default {json.dumps(value)}"
    except TypeError:
        return "optional"


def _serves(plugin: Plugin) -> str:
    if plugin.cause:
        return f"quarantined: {plugin.cause}"
    if plugin.serves_all:
        return "every verb"
    observes = ["observer"] if plugin.observer else []
    return ", ".join([*plugin.verbs(), *observes]) or "no verbs"


def _facts(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "version": plugin.version,
        "distribution": plugin.distribution,
        "verbs": list(plugin.verbs()) if not plugin.cause else [],
        "observer": plugin.observer is not None,
        "quarantined": plugin.cause,
    }
