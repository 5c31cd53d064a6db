"""Stages beside each other, and the files that they name; each problem shown whole."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mlpipe.plugins.manager import PluginManager

CASES: dict[str, tuple[str, str]] = {
    "files that are not there": (
        """
        stages:
          a: {uses: acme.train, with: {script: trian.py, table: raw/b.csv}}
          b: {uses: acme.train, with: {script: raw, table: nowhere/x.csv}}
          c: {uses: acme.train, with: {script: train.py, table: raw}}
        """,
        """
        r.yaml:2:40: stages.a.with.script: there is no file "trian.py"
            2 │   a: {uses: acme.train, with: {script: trian.py, table: raw/b.csv}}
              │                                        ^^^^^^^^
           Did you mean "train.py"?
        r.yaml:2:57: stages.a.with.table: there is no file "raw/b.csv"
            2 │   a: {uses: acme.train, with: {script: trian.py, table: raw/b.csv}}
              │                                                         ^^^^^^^^^
           Did you mean "raw/a.csv"?
        r.yaml:3:40: stages.b.with.script: "raw" is a folder, not a script
            3 │   b: {uses: acme.train, with: {script: raw, table: nowhere/x.csv}}
              │                                        ^^^
        r.yaml:3:52: stages.b.with.table: there is no file "nowhere/x.csv"
            3 │   b: {uses: acme.train, with: {script: raw, table: nowhere/x.csv}}
              │                                                    ^^^^^^^^^^^^^
           Paths start at this folder.
        """,
    ),
    "files that another stage makes": (
        """
        stages:
          make: {uses: python.prepare, with: {function: "steps:make", outputs: {out: data/all}}}
          a: {uses: acme.train, with: {table: data/all}}
          b: {uses: acme.train, with: {table: data/all/part.csv, output: model}}
          c: {uses: acme.train, with: {table: ./model}}
        """,
        """
        r.yaml:3:39: stages.a.with.table: "data/all" is made by stage "make"
            3 │   a: {uses: acme.train, with: {table: data/all}}
              │                                       ^^^^^^^^
           Take it from there: inputs: {NAME: make.out}.
        r.yaml:4:39: stages.b.with.table: "data/all/part.csv" is made by stage "make"
            4 │   b: {uses: acme.train, with: {table: data/all/part.csv, output: model}}
              │                                       ^^^^^^^^^^^^^^^^^
           Take it from there: inputs: {NAME: make.out}.
        r.yaml:5:39: stages.c.with.table: "./model" is made by stage "b"
            5 │   c: {uses: acme.train, with: {table: ./model}}
              │                                       ^^^^^^^
           Take it from there: inputs: {NAME: b.OUTPUT}.
        """,
    ),
    "outputs in the way": (
        """
        stages:
          a: {uses: acme.train, with: {script: train.py, output: train.py}}
          b: {uses: acme.train, with: {table: raw, output: raw/made.csv}}
          c: {uses: python.check, with: {function: "lib.clean:clean", outputs: {out: lib}}}
          d: {uses: acme.train, with: {output: r.yaml}}
          e: {uses: acme.train, with: {output: .mlpipe/x}}
          f: {uses: acme.train, with: {output: out}}
          g: {uses: acme.train, with: {output: out/deeper/x}}
          h: {uses: acme.train, with: {output: "x\\0y"}}
        """,
        """
        r.yaml:2:58: stages.a.with.output: "train.py" is a source of this recipe
            2 │   a: {uses: acme.train, with: {script: train.py, output: train.py}}
              │                                                          ^^^^^^^^
           Choose another path.
        r.yaml:3:52: stages.b.with.output: "raw/made.csv" is within raw, which is a source of \
this recipe
            3 │   b: {uses: acme.train, with: {table: raw, output: raw/made.csv}}
              │                                                    ^^^^^^^^^^^^
           Choose another path.
        r.yaml:4:78: stages.c.with.outputs.out: "lib" holds lib/clean.py, which is a source of \
this recipe
            4 │   c: {uses: python.check, with: {function: "lib.clean:clean", outputs: {out: \
lib}}}
              │                                                                              ^^^
           Choose another path.
        r.yaml:5:40: stages.d.with.output: "r.yaml" is a source of this recipe
            5 │   d: {uses: acme.train, with: {output: r.yaml}}
              │                                        ^^^^^^
           Choose another path.
        r.yaml:6:40: stages.e.with.output: ".mlpipe/x" is within .mlpipe, which is no place for \
outputs
            6 │   e: {uses: acme.train, with: {output: .mlpipe/x}}
              │                                        ^^^^^^^^^
           Choose another path.
        r.yaml:8:40: stages.g.with.output: "out/deeper/x" is within "out", an output of stage \
"f"
            8 │   g: {uses: acme.train, with: {output: out/deeper/x}}
              │                                        ^^^^^^^^^^^^
           Choose another path.
        r.yaml:9:40: stages.h.with.output: "x�y" is not within the project
            9 │   h: {uses: acme.train, with: {output: "x\\0y"}}
              │                                        ^^^^^^
           Use a relative path.
        """,
    ),
    "functions": (
        """
        stages:
          a: {uses: python.check, with: {function: "lib.clean:clena"}}
          b: {uses: python.check, with: {function: "lib.claen:clean"}}
          c: {uses: python.check, with: {function: "nowhere.at:all"}}
          d: {uses: python.check, with: {function: "lib.clean:clean"}}
          e: {uses: python.check, with: {function: "json:dumps"}}
        """,
        """
        r.yaml:2:55: stages.a.with.function: module lib.clean has no function "clena"
            2 │   a: {uses: python.check, with: {function: "lib.clean:clena"}}
              │                                                       ^^^^^
           Did you mean "clean"? Its functions: clean.
        r.yaml:3:45: stages.b.with.function: there is no module "lib.claen"
            3 │   b: {uses: python.check, with: {function: "lib.claen:clean"}}
              │                                             ^^^^^^^^^
           Did you mean "clean"?
        r.yaml:4:45: stages.c.with.function: there is no module "nowhere.at"
            4 │   c: {uses: python.check, with: {function: "nowhere.at:all"}}
              │                                             ^^^^^^^^^^
           Modules are looked for from this folder.
        """,
    ),
    "secrets that the stage has not": (
        """
        stages:
          a: {uses: acme.train, secrets: [TOKEN], with: {token: TOKEN}}
          b: {uses: acme.train, secrets: [OTHER], with: {token: TOKEN}}
        """,
        """
        r.yaml:3:57: stages.b.with.token: "TOKEN" is no secret of this stage
            3 │   b: {uses: acme.train, secrets: [OTHER], with: {token: TOKEN}}
              │                                                         ^^^^^
           Add secrets: [TOKEN].
        """,
    ),
    "patterns of files": (
        """
        stages:
          a: {uses: acme.train, files: [queries/**/*.sql, ../x, /etc/hosts, "", a**]}
        """,
        """
        r.yaml:2:51: stages.a.files.1: "../x" is no pattern of files within the project
            2 │   a: {uses: acme.train, files: [queries/**/*.sql, ../x, /etc/hosts, "", a**]}
              │                                                   ^^^^
           Write a relative one, as "queries/**/*.sql".
        r.yaml:2:57: stages.a.files.2: "/etc/hosts" is no pattern of files within the project
            2 │   a: {uses: acme.train, files: [queries/**/*.sql, ../x, /etc/hosts, "", a**]}
              │                                                         ^^^^^^^^^^
           Write a relative one, as "queries/**/*.sql".
        r.yaml:2:69: stages.a.files.3: "" is no pattern of files within the project
            2 │   a: {uses: acme.train, files: [queries/**/*.sql, ../x, /etc/hosts, "", a**]}
              │                                                                     ^^
           Write a relative one, as "queries/**/*.sql".
        r.yaml:2:73: stages.a.files.4: "a**" is no pattern of files within the project
            2 │   a: {uses: acme.train, files: [queries/**/*.sql, ../x, /etc/hosts, "", a**]}
              │                                                                         ^^^
           Write a relative one, as "queries/**/*.sql".
        """,
    ),
    "plugins that fail": (
        """
        stages:
          a: {uses: acme.train, with: {depth: 13}}
          b: {uses: acme.train, with: {even: 13}}
        observers: {acme: {chanel: x}}
        """,
        """
        r.yaml:2:25: stages.a.with: the plugin failed when saying what the stage produces: \
KeyError: 'thirteen'
            2 │   a: {uses: acme.train, with: {depth: 13}}
              │                         ^^^^
           This is a fault of the plugin, not of the recipe.
        r.yaml:3:25: stages.b.with: the plugin failed when checking its settings: KeyError: 13
            3 │   b: {uses: acme.train, with: {even: 13}}
              │                         ^^^^
           This is a fault of the plugin, not of the recipe.
        r.yaml:4:20: observers.acme.chanel: unknown key
            4 │ observers: {acme: {chanel: x}}
              │                    ^^^^^^
           Did you mean "channel"? Known: channel.
        """,
    ),
    "circles": (
        """
        stages:
          a: {uses: acme.train, needs: [a]}
          b: {uses: acme.train, inputs: {x: c.model}}
          c: {uses: acme.train, with: {depth: "${stages.b.rows}"}}
          d: {uses: acme.train, needs: [b]}
        """,
        """
        r.yaml:2:3: stages.a: the stages depend on each other: a → a
            2 │   a: {uses: acme.train, needs: [a]}
              │   ^
        r.yaml:3:3: stages.b: the stages depend on each other: b → c → b
            3 │   b: {uses: acme.train, inputs: {x: c.model}}
              │   ^
        """,
    ),
    "an output that is named as a part of the stage": (
        """
        stages:
          data: {uses: acme.train}
          b: {uses: acme.train, inputs: {x: data.at}}
        """,
        """
        r.yaml:3:42: stages.b.inputs.x: stage "data" has no output "at"
            3 │   b: {uses: acme.train, inputs: {x: data.at}}
              │                                          ^^
           Its outputs: model.
        """,
    ),
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Make the project's files: a package, a script, and a folder of data."""
    for name, text in {
        "lib/__init__.py": "",
        "lib/clean.py": "def clean(): ...\n",
        "train.py": "x = 1\n",
        "raw/a.csv": "a\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize("case", CASES)
def test_problems_are_shown_whole(
    whole: Callable[..., None], acme: PluginManager, files: Path, case: str
) -> None:
    text, expected = CASES[case]
    whole(text, expected, plugins=acme)
