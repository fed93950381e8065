"""The command line: what a team does around `dvc repro`. Each command's work is in a module of its own."""

from typing import Annotated

import typer

from defectdistill.stage import run_stage

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """Share, trace and serve what the pipeline made; the pipeline itself runs by `dvc repro`."""


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
