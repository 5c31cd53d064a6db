"""The JSON Schema of recipes: it takes what can be loaded, and places what cannot."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.schema import recipe_schema

SHIPPED = Path(__file__).parents[3] / "recipes" / "diagnosis.yaml"
STAGES = "stages:\n  a: {uses: acme.train%s}\n"


@pytest.fixture(scope="module")
def schema(acme: PluginManager) -> dict[str, Any]:
    """Give the schema with the built-in plugins and ``acme``."""
    return recipe_schema(acme)


@pytest.fixture(scope="module")
def faults(schema: dict[str, Any]) -> Any:
    """Give a function that lists where a recipe does not fit the schema."""
    validator = jsonschema.Draft202012Validator(schema)

    def faults(text: str) -> list[str]:
        found = validator.iter_errors(yaml.safe_load(text))
        return sorted(".".join(map(str, each.absolute_path)) for each in found)

    return faults


def test_it_is_a_schema_and_json(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_it_takes_the_shipped_recipe() -> None:
    validator = jsonschema.Draft202012Validator(recipe_schema(PluginManager.discover()))
    recipe = yaml.safe_load(SHIPPED.read_text("utf-8"))
    assert [each.message for each in validator.iter_errors(recipe)] == []
    recipe["stages"]["forest"]["with"]["hyperparametres"] = {}
    assert [list(each.absolute_path) for each in validator.iter_errors(recipe)] == [
        ["stages", "forest", "with"]
    ]


@pytest.mark.parametrize(
    "text",
    [
        STAGES % "",
        STAGES % ", timeout: 1h30m, retry: 3, needs: b, env: {A: 1}, secrets: TOKEN",
        STAGES % ", retry: {attempts: 2, delay: 5s, max_delay: 1m}, gate: {accuracy: '>= 0.9'}",
        STAGES % ", cache: '${params.cache}', timeout: '${params.t}', with: '${params.w}'",
        STAGES % ", with: {depth: '${params.d}', method: '${params.m}'}, when: '${params.x} > 3'",
        STAGES % "" + "targets: {aws: {region: eu-west-1}, local: }\nobservers: {acme: }\n",
        "extends: base.yaml\n",
        "extends: base.yaml\nstages: {a: null, b: {timeout: 5}}\n",
    ],
)
def test_it_takes_what_can_be_loaded(faults: Any, text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("name: r\n", [""]),
        (STAGES % "" + "stagse: {}\n", [""]),
        ("stages: {a: null}\n", ["stages.a"]),
        ("stages: {a: {needs: [b]}}\n", ["stages.a"]),
        ("stages: {1a: {uses: acme.train}}\n", ["stages"]),
        ("stages: {a: {uses: acme.deploy}}\n", ["stages.a.uses"]),
        ("stages: {a: {uses: shell.check}}\n", ["stages.a"]),
        ("stages: {a: {uses: shell.check, with: {comand: x}}}\n", ["stages.a.with"] * 2),
        (STAGES % ", wiht: {}", ["stages.a"]),
        (STAGES % ", with: {depth: deep}", ["stages.a.with.depth"]),
        (STAGES % ", with: {method: none}", ["stages.a.with.method"]),
        (STAGES % ", timeout: soon", ["stages.a.timeout"]),
        (STAGES % ", inputs: {train: data}", ["stages.a.inputs.train"]),
        (STAGES % ", gate: {accuracy: 0.94}", ["stages.a.gate.accuracy"]),
        (STAGES % "" + "observers: {acmee: {}}\n", ["observers"]),
        (STAGES % "" + "targets: {aws: {type: gcp}}\n", ["targets.aws"]),
    ],
)
def test_it_places_what_cannot(faults: Any, text: str, places: list[str]) -> None:
    assert faults(text) == places


def test_docstrings_become_descriptions(schema: dict[str, Any]) -> None:
    stage = schema["$defs"]["StageSpec"]
    assert stage["properties"]["uses"]["description"] == "``PLUGIN.VERB``."
    assert stage["properties"]["with"]["description"].startswith("The plugin's settings")
    acme = schema["$defs"]["acme.AcmeConfig"]
    assert acme["description"] == "Settings with a field of every role."
    assert acme["properties"]["depth"]["description"] == "A number."
    assert acme["properties"]["script"]["description"] == "A program."


def test_quarantined_plugins_are_left_out(acme: PluginManager) -> None:
    assert '"acme.train"' in json.dumps(recipe_schema(acme))
    assert '"acme.train"' not in json.dumps(recipe_schema(PluginManager([])))
