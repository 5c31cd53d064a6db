"""References: what they may name, where they may stand; each problem shown whole."""

from collections.abc import Callable

import pytest

from mlpipe.plugins.manager import PluginManager

CASES: dict[str, tuple[str, str]] = {
    "values of the run where they are not known": (
        """
        stages:
          a: {uses: shell.check, with: {command: x}}
          s:
            uses: shell.check
            timeout: ${stages.a.seconds}
            env: {RUN: "${run.id}"}
            when: ${run.id} == 3
            with: {command: "echo ${run.id} ${stages.a.n}"}
        targets: {aws: {prefix: "x/${run.id}"}}
        """,
        """
        r.yaml:5:14: stages.s.timeout: ${stages.a.seconds} is known only in a run
            5 │     timeout: ${stages.a.seconds}
              │              ^^^^^^^^^^^^^^^^^^^
           Only with: and when: can hold it.
        r.yaml:6:17: stages.s.env.RUN: ${run.id} is known only in a run
            6 │     env: {RUN: "${run.id}"}
              │                 ^^^^^^^^^
           Only with: can hold it.
        r.yaml:7:11: stages.s.when: ${run.id} is known only in a run
            7 │     when: ${run.id} == 3
              │           ^^^^^^^^^
           Only with: can hold it.
        r.yaml:9:28: targets.aws.prefix: ${run.id} is known only in a run
            9 │ targets: {aws: {prefix: "x/${run.id}"}}
              │                            ^^^^^^^^^
           Only with: can hold it.
        """,
    ),
    "a reference that is not closed": (
        """
        params: {x: 1}
        stages:
          s: {uses: shell.check, with: {command: "echo ${params.x"}}
          t: {uses: shell.check, with: {command: "echo ${VAR:-${params.x}}"}}
        """,
        """
        r.yaml:3:48: stages.s.with.command: this ${ begins no reference
            3 │   s: {uses: shell.check, with: {command: "echo ${params.x"}}
              │                                                ^^^^^^^^^^
           Close it by }, or write $${ for a plain ${.
        r.yaml:4:48: stages.t.with.command: this ${ begins no reference
            4 │   t: {uses: shell.check, with: {command: "echo ${VAR:-${params.x}}"}}
              │                                                ^^^^^^^^
           Close it by }, or write $${ for a plain ${.
        """,
    ),
    "a parameter that refers to one that is not there": (
        """
        params: {a: {b: 1}, c: "${params.a.d}", e: "${params.c}", f: ["${env.NOPE}"]}
        stages: {s: {uses: shell.check, with: {command: x}}}
        """,
        """
        r.yaml:1:24: params.c: there is no parameter "a.d"
            1 │ params: {a: {b: 1}, c: "${params.a.d}", e: "${params.c}", f: ["${env.NOPE}"]}
              │                        ^^^^^^^^^^^^^^^
           Parameters: b.
        r.yaml:1:63: params.f.0: the environment variable NOPE is not set
            1 │ params: {a: {b: 1}, c: "${params.a.d}", e: "${params.c}", f: ["${env.NOPE}"]}
              │                                                               ^^^^^^^^^^^^^
           Set NOPE, or make it a parameter with a default.
        """,
    ),
    "a parameter within itself": (
        """
        params: {a: {x: 1, y: "${params.a}"}}
        stages: {s: {uses: shell.check, with: {command: x}}}
        """,
        """
        r.yaml:1:23: params.a.y: refers to itself: a.y → a.y
            1 │ params: {a: {x: 1, y: "${params.a}"}}
              │                       ^^^^^^^^^^^^^
        """,
    ),
    "parameters that multiply": (
        """
        params:
          a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
          b: ${params.a}${params.a}${params.a}${params.a}${params.a}${params.a}
          c: ${params.b}${params.b}${params.b}${params.b}${params.b}${params.b}
          d: ${params.c}${params.c}${params.c}${params.c}${params.c}${params.c}
          e: ${params.d}${params.d}${params.d}${params.d}${params.d}${params.d}
          f: ${params.e}${params.e}${params.e}${params.e}${params.e}${params.e}
          g: ${params.f}${params.f}${params.f}${params.f}${params.f}${params.f}
        stages: {s: {uses: shell.check, with: {command: x}}}
        """,
        """
        r.yaml:8:6: params.g: comes to more than 1,048,576 characters and values
            8 │   g: ${params.f}${params.f}${params.f}${params.f}${params.f}${params.f}
              │      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        """,
    ),
    "a secret in the settings": (
        """
        params: {token: "${env.TOKEN}"}
        stages:
          s: {uses: shell.check, secrets: [TOKEN], with: {command: "login ${env.TOKEN}"}}
        """,
        """
        r.yaml:1:18: params.token: TOKEN is a secret, and this would write it into the run's \
record
            1 │ params: {token: "${env.TOKEN}"}
              │                  ^^^^^^^^^^^^
           Let the stage's code read it from its environment.
        r.yaml:3:67: stages.s.with.command: TOKEN is a secret, and this would write it into the \
run's record
            3 │   s: {uses: shell.check, secrets: [TOKEN], with: {command: "login \
${env.TOKEN}"}}
              │                                                                   ^^^^^^^^^^^^
           Let the stage's code read it from its environment.
        """,
    ),
    "a value that a stage does not give": (
        """
        stages:
          a: {uses: acme.train}
          s: {uses: shell.check, when: "${stages.a.rowz} > 3", with: {command: "${stages.b.rows}"}}
        """,
        """
        r.yaml:3:42: stages.s.when: stage "a" gives no value "rowz"
            3 │   s: {uses: shell.check, when: "${stages.a.rowz} > 3", with: {command: \
"${stages.b.rows}"}}
              │                                          ^^^^^^
           Did you mean "rows"? Its values: accuracy, rows.
        r.yaml:3:82: stages.s.with.command: there is no stage "b"
            3 │   s: {uses: shell.check, when: "${stages.a.rowz} > 3", with: {command: \
"${stages.b.rows}"}}
              │                                                                                 \
 ^
           Stages: a, s.
        """,
    ),
    "a parameter that a command reads": (
        """
        params: {depth: 3}
        stages:
          s: {uses: shell.check, with: {command: "echo {params.depth} {params.dept}"}}
        """,
        """
        r.yaml:3:64: stages.s.with: there is no parameter "dept"
            3 │   s: {uses: shell.check, with: {command: "echo {params.depth} {params.dept}"}}
              │                                                                ^^^^^^^^^^^
           Did you mean "depth"? Parameters: depth.
        """,
    ),
    "wrong settings beside values that are not known yet": (
        """
        stages:
          a: {uses: acme.train}
          s:
            uses: acme.train
            with: {depth: "${stages.a.rows}", methd: "${stages.a.rows}", method: none, even: 3}
        """,
        """
        r.yaml:5:39: stages.s.with.methd: unknown key
            5 │     with: {depth: "${stages.a.rows}", methd: "${stages.a.rows}", method: none, \
even: 3}
              │                                       ^^^^^
           Did you mean "method"? Known: script, table, output, token, depth, method, even.
        r.yaml:5:74: stages.s.with.method: should be 'random' or 'stratified', and is 'none'
            5 │     with: {depth: "${stages.a.rows}", methd: "${stages.a.rows}", method: none, \
even: 3}
              │                                                                          ^^^^
        r.yaml:5:86: stages.s.with.even: should be even
            5 │     with: {depth: "${stages.a.rows}", methd: "${stages.a.rows}", method: none, \
even: 3}
              │                                                                                 \
     ^
        """,
    ),
    "a condition that is none": (
        """
        params: {flag: maybe}
        stages: {s: {uses: shell.check, when: "${params.flag}", with: {command: x}}}
        """,
        """
        r.yaml:2:39: stages.s.when: "maybe" is neither true nor false
            2 │ stages: {s: {uses: shell.check, when: "${params.flag}", with: {command: x}}}
              │                                       ^^^^^^^^^^^^^^^^
           Write true, false, or a comparison as ${params.rows} > 1000.
        """,
    ),
    "settings from a parameter": (
        """
        params: {w: {command: x, outputz: {}}}
        stages: {s: {uses: shell.check, with: "${params.w}"}}
        """,
        """
        r.yaml:2:33: stages.s.with.outputz: unknown key
            2 │ stages: {s: {uses: shell.check, with: "${params.w}"}}
              │                                 ^^^^
           Did you mean "outputs"? Known: command, outputs, metrics.
        """,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_problems_are_shown_whole(
    whole: Callable[..., None], acme: PluginManager, case: str
) -> None:
    text, expected = CASES[case]
    whole(text, expected, plugins=acme, environ={"TOKEN": "s3cret"})
