"""What a run may cost, the budget that refuses it, and the permissions it needs."""

import json
from pathlib import Path
from typing import Any

import pytest

PLUGIN = '''
"""A plugin whose verb takes machines, which are paid by the hour, and calls a cloud provider."""

from pathlib import Path
from typing import ClassVar

from mlpipe import Permission, StageConfig, StageResult, Usage, UserError, hookimpl


class RentConfig(StageConfig):
    """How many machines for how long."""

    backends: ClassVar[tuple[str, ...]] = ("local", "aws")

    machine: str = "small"
    count: int = 1
    hours: float = 1.0

    def worst_case(self, target, root):
        if target.type != "aws":
            return ()
        if "region" not in target.settings:
            raise UserError("there is no region", where=f"targets.{target.name}")
        prices = {"small": 0.5, "large": 4.0}
        price, currency = prices.get(self.machine), target.settings.get("currency", "USD")
        return (Usage(self.machine, self.hours * self.count, price, currency),)

    def permissions(self, target, inputs):
        own = f"arn:aws:s3:::bucket/{self.machine}/*"
        return (
            Permission(("s3:PutObject", "s3:GetObject"), (own,)),
            Permission(("rent:Start",), ("*",)),
            Permission(("iam:PassRole",), ("role",), condition={"StringEquals": {"to": "rent"}}),
            Permission(("s3:GetObject",), (own,), holder="job"),
        )


@hookimpl
def train(config: RentConfig, stage):
    Path("calls.txt").open("a").write(f"{stage.name} {stage.env}\\n")
    return StageResult(values={"machine": config.machine})
'''

RECIPE = """
name: p
targets: {aws: {region: eu-west-1}}
stages:
  one: {uses: rent.train, with: {count: 2, hours: 3}, env: {DEPTH: 4}}
  two: {uses: rent.train, with: {machine: large, hours: 0.5}, retry: 3, needs: [one]}
"""


@pytest.fixture
def rent(project: Any, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> Any:
    """A project with the recipe ``p``, in whose environment the plugin ``rent`` is installed."""
    site: Path = tmp_path_factory.mktemp("site")
    (site / "rent_plugin.py").write_text(PLUGIN)
    info = site / "mlpipe_rent-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlpipe-rent\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mlpipe]\nrent = rent_plugin\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    project.write("p.yaml", RECIPE)
    return project


def budget(project: Any, text: str) -> None:
    project.write("p.yaml", RECIPE + f"budget: {text}\n")


def test_the_plan_shows_the_worst_case(rent: Any) -> None:
    lines = rent.mlpipe("plan", "p", "--target", "aws").out.splitlines()
    assert lines[-3:] == [
        "worst case  7.5 instance-hours · $9.00",
        "  one  6 h    $3.00  small",
        "  two  1.5 h  $6.00  large",
    ]


def test_the_plan_shows_money_in_the_tables_currency(rent: Any) -> None:
    budget(rent, "{money: 5}")
    rent.write("p.yaml", rent.read("p.yaml").replace("eu-west-1", "eu-west-1, currency: EUR"))
    lines = rent.mlpipe("plan", "p", "--target", "aws").out.splitlines()
    assert "worst case  7.5 instance-hours · 9.00 EUR of budget 5.00 EUR" in lines
    assert "  one  6 h    3.00 EUR  small" in lines


def test_the_plan_shows_the_budget(rent: Any) -> None:
    budget(rent, "{money: 5, instance_hours: 10}")
    lines = rent.mlpipe("plan", "p", "--target", "aws").out.splitlines()
    assert "worst case  7.5 of 10 instance-hours · $9.00 of budget $5.00" in lines


def test_what_costs_nothing_is_not_mentioned(rent: Any) -> None:
    budget(rent, "{money: 0}")
    assert "worst case" not in rent.mlpipe("plan", "p").out
    assert rent.run() == {"one": "done", "two": "done"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{money: 8.99}", "p.yaml:6:17: budget.money: the worst case is 9.00"),
        ("{instance_hours: 7}", "budget.instance_hours: the worst case is 7.5 instance-hours"),
    ],
)
def test_a_budget_refuses_before_anything_starts(rent: Any, text: str, said: str) -> None:
    budget(rent, text)
    answer = rent.mlpipe("run", "p", "--target", "aws")
    assert answer.code == 2
    assert said in answer.err
    assert "Most of it: " in answer.err
    assert "1 problem. Nothing was run." in answer.err
    assert rent.calls() == []
    assert rent.mlpipe("runs", "list", "--json").out.strip() in ("", "[]")


def test_a_budget_counts_only_what_will_run(rent: Any) -> None:
    budget(rent, "{money: 9}")
    rent.run("--target", "aws")
    budget(rent, "{money: 0}")
    assert rent.run("--target", "aws") == {"one": "cached", "two": "cached"}


def test_a_price_that_is_not_known_is_no_zero(rent: Any) -> None:
    recipe = RECIPE.replace("machine: large", "machine: odd")
    rent.write("p.yaml", recipe)
    assert "  without a price: odd" in rent.mlpipe("plan", "p", "--target", "aws").out
    rent.write("p.yaml", recipe + "budget: {money: 100}\n")
    answer = rent.mlpipe("run", "p", "--target", "aws")
    assert answer.code == 2
    assert "budget.money: the price of odd is not known" in answer.err


def test_settings_that_wait_are_said_to_be_unknown(rent: Any) -> None:
    rent.write("p.yaml", RECIPE.replace("machine: large", 'machine: "${stages.one.machine}"'))
    lines = rent.mlpipe("plan", "p", "--target", "aws").out.splitlines()
    assert lines[-1] == "  not known yet: two"


def test_a_budget_says_what_it_does_not_count(rent: Any) -> None:
    waits = RECIPE.replace("machine: large", 'machine: "${stages.one.machine}"')
    rent.write("p.yaml", waits + "budget: {money: 5}\n")
    answer = rent.mlpipe("run", "p", "--target", "aws")
    assert answer.code == 0
    assert "the budget does not count two, whose settings are not known yet" in answer.err
    assert "does not count" not in rent.mlpipe("run", "p").err


def test_what_is_not_known_costs_nothing_on_this_machine(rent: Any) -> None:
    rent.write("p.yaml", RECIPE.replace("machine: large", 'machine: "${stages.one.machine}"'))
    assert "worst case" not in rent.mlpipe("plan", "p").out


def test_a_target_that_is_wrong_is_said_while_planning(rent: Any) -> None:
    rent.write("p.yaml", RECIPE.replace("region: eu-west-1", "zone: a"))
    for command in ("plan", "run"):
        answer = rent.mlpipe(command, "p", "--target", "aws")
        assert answer.code == 2
        assert "targets.aws: there is no region" in answer.err
    assert rent.calls() == []


def test_a_stage_knows_the_variables_that_the_recipe_sets(rent: Any) -> None:
    rent.run()
    assert rent.read("calls.txt") == "one {'DEPTH': '4'}\ntwo {}\n"


# -- permissions ------------------------------------------------------------------------


def test_the_policy_names_each_action_once(rent: Any) -> None:
    policy = json.loads(rent.mlpipe("iam", "p", "--target", "aws").out)
    own = ["arn:aws:s3:::bucket/large/*", "arn:aws:s3:::bucket/small/*"]
    assert policy == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["iam:PassRole"],
                "Resource": ["role"],
                "Condition": {"StringEquals": {"to": "rent"}},
            },
            {"Effect": "Allow", "Action": ["rent:Start"], "Resource": ["*"]},
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": own},
        ],
    }


def test_the_policy_of_jobs_is_another(rent: Any) -> None:
    policy = json.loads(rent.mlpipe("iam", "p", "--target", "aws", "--for-jobs").out)
    (statement,) = policy["Statement"]
    assert statement["Action"] == ["s3:GetObject"]


def test_a_target_without_a_policy(rent: Any) -> None:
    answer = rent.mlpipe("iam", "p")
    assert answer.code == 2
    assert 'target "local" needs no policy' in answer.err
    assert "Targets of type aws: aws." in answer.err


def test_stages_that_declare_nothing_have_no_policy(rent: Any) -> None:
    rent.write(
        "p.yaml",
        "name: p\ntargets: {aws: {}}\nstages: {a: {uses: shell.prepare, "
        "with: {command: 'true'}}}\n",
    )
    answer = rent.mlpipe("iam", "p", "--target", "aws")
    assert answer.code == 2
    assert "no stage says what it may do at AWS" in answer.err
    assert "Its plugins declare no such permissions: shell." in answer.err
    assert answer.out == ""
