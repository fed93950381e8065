"""What the tests of the pipelines beside the root's share."""

import json

from repository import executed, run


def keep(pipeline, rows):
    """Leave only these rows in a pipeline's paper.csv."""
    head, *lines = (pipeline / "paper.csv").read_text().splitlines()
    (pipeline / "paper.csv").write_text(
        "\n".join([head, *(line for line in lines if line.split(",")[0] in rows)]) + "\n"
    )


def replace(path, *pairs):
    """Replace texts in a file, each of which must be there."""
    text = path.read_text()
    for old, new in pairs:
        assert old in text, (path, old)
        text = text.replace(old, new)
    path.write_text(text)


def repro(folder, pipeline):
    """Run a pipeline in the DVC repository of its own that pipelines/ is."""
    return run(f"dvc repro {pipeline.relative_to('pipelines')}", folder / "pipelines")


def ran(output):
    """Return the stages of a pipeline that ran, without the file that they stand in."""
    return {stage.rpartition(":")[2] for stage in executed(output)}


def changed(folder, pipeline):
    """Return the stages of a pipeline that would run if it were run now, as far as DVC can tell before it does."""
    status = json.loads(run(f"dvc status --json {pipeline.relative_to('pipelines')}", folder / "pipelines"))
    return {stage.rpartition(":")[2] for stage in status}
