"""The command line: what a team does around `dvc repro`. Each command's work is in a module of its own."""

from pathlib import Path
from typing import Annotated

import typer

from defectdistill.stage import run_stage

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """Share, trace and serve what the pipeline made; the pipeline itself runs by `dvc repro`."""


@app.command()
def sync() -> None:
    """Send MLflow what it missed while it did not answer."""
    from defectdistill.tracking.sender import send_left
    from defectdistill.tracking.store import tracking_uri

    sent, refused, open_ones = send_left()
    for reason in refused:
        typer.echo(f"refused for good, and left out: {reason}")
    typer.echo(f"{sent} runs sent to {tracking_uri()}" + (f", {open_ones} are still being written" * bool(open_ones)))


@app.command()
def lineage(model: Annotated[Path, typer.Argument(help="A checkpoint folder.")] = Path("models/student")) -> None:
    """Say which data, teacher, code and parameters a model was made of, and what came of it."""
    from defectdistill.lineage import lineage

    for line in lineage(model):
        typer.echo(line)


@app.command()
def register() -> None:
    """Register models/student in MLflow as the challenger, and as the champion if it beats the present one."""
    from defectdistill.params import load_params
    from defectdistill.registry.register import register

    for line in register(load_params()):
        typer.echo(line)


@app.command()
def summary(
    metric: Annotated[str, typer.Option(help="A score of the test split, such as test/accuracy.")] = "test/macro_f1",
    output: Annotated[Path, typer.Option(help="Folder for the table and the pictures.")] = Path("summary"),
) -> None:
    """Compare student and baseline over folds and seeds: means, spread, and the paired difference."""
    from defectdistill.summary import summary

    for line in summary(metric, output):
        typer.echo(line)


@app.command()
def share(
    remote: Annotated[str | None, typer.Argument(help="Name of a DVC remote; the default one if left out.")] = None,
    git_remote: Annotated[str, typer.Option(help="Name of the git remote that gets the experiments.")] = "origin",
) -> None:
    """Push to the team: the workspace's outputs, the experiments, and the runs that DVC has cached."""
    from defectdistill import share as team

    team.share(remote, git_remote)


def main() -> None:
    """Run a command; an error that this library raises ends in one line."""
    run_stage("defectdistill", app)
