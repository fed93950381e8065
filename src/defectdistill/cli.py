"""The command line: what a team does around `dvc repro`. Each command's work is in a module of its own."""

import typer

from defectdistill.stage import run_stage

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """Share, trace and serve what the pipeline made; the pipeline itself runs by `dvc repro`."""


@app.command()
def register() -> None:
    """Register models/student in MLflow as the challenger, and as the champion if it beats the present one."""
    from defectdistill.params import load_params
    from defectdistill.registry import register

    for line in register(load_params()):
        typer.echo(line)


def main() -> None:
    """Run a command; an error that this library raises ends in one line."""
    run_stage("defectdistill", app)
