"""The generated parts of the reference pages, made from the code when the documentation is built.

MkDocs loads this file as a hook. Where a page says ``<!-- generated: NAME -->``, it gets what users
meet of that name: the recipe's models, the hookspecs, the plugins' schemas, the commands.
"""

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mlpipe.errors import ExitCode
from mlpipe.plugins import hookspecs
from mlpipe.plugins.config import ObserverConfig, Role, StageConfig
from mlpipe.plugins.inspection import LIFECYCLE, Plugin
from mlpipe.plugins.manager import PluginManager
from mlpipe.plugins.verbs import VERBS

_MARKER = re.compile(r"<!-- generated: (\w+) -->")


def on_page_markdown(markdown: str, config: MkDocsConfig, **_: object) -> str:
    """Fill in a page's generated parts. Called by MkDocs for each page."""
    parts: Mapping[str, Callable[[], str]] = {
        "changelog": (Path(config.config_file_path).parent / "CHANGELOG.md").read_text,
        "commands": commands,
        "exits": exit_codes,
        "hooks": hooks,
        "plugins": lambda: plugins(PluginManager.discover()),
        "recipe": recipe,
    }
    return _MARKER.sub(lambda match: parts[match[1]](), markdown)


# -- recipes ----------------------------------------------------------------------------------


def recipe() -> str:
    """Describe every key of a recipe, one section a model."""
    from mlpipe.recipe.models import Recipe

    sections = []
    for model in _models(Recipe):
        title = "Top-level keys" if model is Recipe else _title(model)
        sections.append(f"## {title}\n\n{_prose(model)}\n\n{_fields(model)}")
    return "\n\n".join(sections)


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model and those its fields hold, each once, outer ones first."""
    queue, seen = [model], {model}
    while queue:
        current = queue.pop(0)
        yield current
        for info in current.model_fields.values():
            for part in _parts(info.annotation):
                if _is_model(part) and part not in seen:
                    seen.add(part)
                    queue.append(part)


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from _parts(part)


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


# -- hooks ------------------------------------------------------------------------------------


def hooks() -> str:
    """Describe every hook, as its signature and docstring say."""
    specs = {name: value for name, value in vars(hookspecs).items() if _is_spec(value)}
    verbs = [name for name in specs if name in VERBS or name == "call"]
    lifecycle = [name for name in specs if name in LIFECYCLE]
    others = [name for name in specs if name not in {*verbs, *lifecycle}]
    parts = (
        ("Verbs", "Called once for an attempt of a stage, in that stage's own process.", verbs),
        ("Around verbs, and registrations", "Called when their docstrings say.", others),
        ("Lifecycle", "Called in the observers' own process, in the journal's order.", lifecycle),
    )
    sections = []
    for title, text, names in parts:
        sections.append(f"## {title}\n\n{text}")
        sections.extend(_hook(name, specs[name]) for name in names)
    return "\n\n".join(sections)


def _is_spec(value: object) -> bool:
    return inspect.isfunction(value) and hasattr(value, "mlpipe_spec")


def _hook(name: str, spec: Any) -> str:
    signature = re.sub(r"'([^']*)'", r"\1", str(inspect.signature(spec)))
    verb = VERBS.get(name)
    traits = "\n\n*Cached by fingerprint.*" if verb and verb.cached else ""
    if verb and verb.effects:
        traits = "\n\n*`mlpipe plan` shows its actions.*"
    return (
        f"### {name}\n\n```python\ndef {name}{signature}\n```\n\n{_markdown(spec.__doc__)}{traits}"
    )


# -- plugins ----------------------------------------------------------------------------------


def plugins(manager: PluginManager) -> str:
    """Describe the settings of every installed plugin's verbs, and of its observer.

    Raises:
        RuntimeError: A plugin is quarantined, so that its page would be missing.
    """
    sections = []
    for name in manager.names():
        plugin = manager.get(name)
        if plugin.cause:
            raise RuntimeError(f"plugin {name} is quarantined: {plugin.cause}")
        sections.append(_plugin(plugin))
    return "\n\n".join(sections)


def _plugin(plugin: Plugin) -> str:
    summary = metadata.metadata(plugin.distribution)["Summary"]
    built_in = plugin.distribution == "mlpipe-framework"
    origin = "Built in." if built_in else f"{summary}. Distribution `{plugin.distribution}`."
    sections = [f"## {plugin.name}\n\n{origin}"]
    if plugin.serves_all:
        title = f"### {plugin.name}.VERB\n\nServes every verb."
        sections.append(f"{title}\n\n{_settings(plugin.config_type('call'))}")
    else:
        for verb in plugin.verbs():
            title = f"### {plugin.name}.{verb}"
            sections.append(f"{title}\n\n{_settings(plugin.config_type(verb))}")
    if observer := plugin.observer_config():
        sections.append(f"### observers: {plugin.name}\n\n{_settings(observer)}")
    return "\n\n".join(sections)


def _settings(schema: type[StageConfig] | type[ObserverConfig]) -> str:
    if schema in (StageConfig, ObserverConfig):
        return "Takes no settings."
    first, *inner = _models(schema)
    sections = [_prose(first), _fields(first)]
    sections += [f"#### {_title(model)}\n\n{_prose(model)}\n\n{_fields(model)}" for model in inner]
    return "\n\n".join(sections)


def exit_codes() -> str:
    """Give a table of the exit codes."""
    told = _comments(ExitCode)
    rows = [f"| {code.value} | {code.name} | {told.get(code.name, 'Done.')} |" for code in ExitCode]
    return "\n".join(["| code | name | meaning |", "|---|---|---|", *rows])


def commands() -> str:
    """Describe each command by its own help."""
    import typer

    from mlpipe.cli.app import app

    group: Any = typer.main.get_command(app)
    context = typer.Context(group, info_name="mlpipe")
    names = group.list_commands(context)
    return "\n\n".join(
        section
        for name in names
        for section in _helps(group.get_command(context, name), name, context, "##")
    )


def _comments(enum: type[Enum]) -> dict[str, str]:
    """Give the ``#:`` comments above the members of an enumeration."""
    found: dict[str, str] = {}
    comment: list[str] = []
    for line in map(str.strip, inspect.getsource(enum).splitlines()):
        if line.startswith("#:"):
            comment.append(line.removeprefix("#:").strip())
        else:
            if comment:
                found[line.split(" = ")[0]] = " ".join(comment)
            comment = []
    return found


def _helps(command: Any, name: str, parent: Any, heading: str) -> Iterator[str]:
    import typer

    context = typer.Context(command, info_name=name, parent=parent, terminal_width=78)
    yield f"{heading} {context.command_path}\n\n```text\n{command.get_help(context)}\n```"
    for inner in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from _helps(command.get_command(context, inner), inner, context, heading + "#")


def _title(model: type[BaseModel]) -> str:
    return f"{model.__name__} {{ #{_anchor(model)} }}"


def _anchor(model: type[BaseModel]) -> str:
    """Name a model's section so that those of two plugins do not clash."""
    package = model.__module__.partition(".")[0]
    return f"{package}-{model.__name__}".lower()


def _prose(model: type[BaseModel]) -> str:
    """A model's docstring without its list of attributes, which the table of fields gives."""
    return _markdown(
        re.split(r"\n(?:Attributes|Args):\n", inspect.cleandoc(model.__doc__ or ""))[0]
    )


def _fields(model: type[BaseModel]) -> str:
    if not model.model_fields:
        return "Any keys."
    told = _attributes(model)
    rows = ["| key | type | default | |", "|---|---|---|---|"]
    for name, info in model.model_fields.items():
        meaning = info.description or told.get(info.alias or name) or told.get(name, "")
        cells = (f"`{info.alias or name}`", _type_of(info), _default(info), _markdown(meaning))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _attributes(model: type[BaseModel]) -> dict[str, str]:
    """Give the entries of the docstrings' ``Attributes:``, those of base classes included."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        text = inspect.cleandoc(vars(each).get("__doc__") or "")
        _, _, block = text.partition("Attributes:\n")
        for name, meaning in re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", block, re.MULTILINE):
            found[name] = " ".join(meaning.split())
    return found


def _type_of(info: FieldInfo) -> str:
    role = next((item for item in info.metadata if isinstance(item, Role)), None)
    return role.value if role else _type(info.annotation)


def _type(annotation: Any) -> str:
    """Name a type as a writer of YAML thinks of it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        role = next((item for item in arguments[1:] if isinstance(item, Role)), None)
        return role.value if role else _type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _either(_type(part) for part in arguments if part is not type(None))
    if origin is typing.Literal:
        return _either(f"`{value}`" for value in arguments)
    if _is_model(annotation):
        return f"[{annotation.__name__}](#{_anchor(annotation)})"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _either(f"`{member.value}`" for member in annotation)
    if origin is not None and arguments:
        return _container(origin, arguments)
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if annotation is Any:
        return "anything"
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _container(origin: Any, arguments: tuple[Any, ...]) -> str:
    if isinstance(origin, type) and issubclass(origin, typing.Mapping):
        inner = _type(arguments[1])
        return f"name: ({inner})" if inner.startswith("name:") else f"name: {inner}"
    return f"list of {_type(arguments[0])}"


def _either(names: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(names))


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined or value in ({}, [], (), "", frozenset()):
        return ""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return f"`{json.dumps(plain, default=str)}`"


def _markdown(text: str | None) -> str:
    """Turn a docstring's double backquotes into Markdown's."""
    return inspect.cleandoc(text or "").replace("``", "`")
