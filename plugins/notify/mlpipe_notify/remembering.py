"""Which recipe a run is of, for the process that tells that it was killed."""

import json
from pathlib import Path

from mlpipe_notify.message import Notes

_NAME = "notify.json"


def remember(notes: Notes, folder: Path) -> None:
    """Write down what a run is, in its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"recipe": notes.recipe, "target": notes.target}
    (folder / _NAME).write_text(json.dumps(facts))


def remembered(folder: Path) -> Notes:
    """Read what a run is; nothing is known of one that never began, as a rollback."""
    try:
        facts = json.loads((folder / _NAME).read_text())
    except (OSError, ValueError):
        return Notes()
    return Notes(recipe=facts["recipe"], target=facts["target"])
