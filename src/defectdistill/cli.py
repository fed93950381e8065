"""The command line: what a team does around `dvc repro`. Each command's work is in a module of its own."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from defectdistill.app.limits import Limits
from defectdistill.places import CALIBRATION
from defectdistill.prediction.options import Options
from defectdistill.stage import in_words
from defectdistill.tracking.store import words_of_a_store

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


def say_version(asked: bool) -> None:
    """Print the version and end, if it is asked for."""
    if asked:
        typer.echo(version("defectdistill"))
        raise typer.Exit


@app.callback(context_settings={"help_option_names": ["-h", "--help"]})
def root(
    asked: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=say_version, is_eager=True)
    ] = False,
) -> None:
    """Share, trace and serve what the pipeline made; the pipeline itself runs by `dvc repro`."""


@app.command()
def sync() -> None:
    """Send MLflow what it missed while it did not answer."""
    from defectdistill.tracking.sender import send_left
    from defectdistill.tracking.store import shown_uri

    sent, left_out, open_ones = send_left()
    for what in left_out:
        typer.echo(f"left out of MLflow: {what}")
    typer.echo(f"{sent} runs sent to {shown_uri()}" + (f", {open_ones} are still being written" * bool(open_ones)))


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
    metric: Annotated[
        str, typer.Option(help="A score, such as test/accuracy or validation/macro_f1 (to choose settings by).")
    ] = "test/macro_f1",
    output: Annotated[Path, typer.Option(help="Folder for the table and the pictures.")] = Path("summary"),
    complete: Annotated[bool, typer.Option("--complete", help="Exit with 1 where folds are missing.")] = False,
) -> None:
    """Compare student and baseline over folds and seeds: means, spread, and the paired difference."""
    from defectdistill.summary import summary

    for line in summary(metric, output, complete):
        typer.echo(line)


@app.command()
def share(
    remote: Annotated[str | None, typer.Argument(help="Name of a DVC remote; the default one if left out.")] = None,
    git_remote: Annotated[str, typer.Option(help="Name of the git remote that gets the experiments.")] = "origin",
) -> None:
    """Push to the team: the workspace's outputs, the experiments, and the runs that DVC has cached."""
    from defectdistill import share as team

    team.share(remote, git_remote)


@app.command()
def predict(
    paths: Annotated[list[Path], typer.Argument(help="Folders, taken with all that is in them, or files.")],
    model: Annotated[Path, typer.Option(help="A checkpoint folder.")] = Path("models/student"),
    calibration: Annotated[
        Path, typer.Option(help="What `evaluate` found of temperature and threshold.")
    ] = CALIBRATION,
    output: Annotated[Path, typer.Option(help="Folder for the tables and the page.")] = Path("predictions"),
    batch_size: Annotated[
        int, typer.Option(min=1, help="Photographs that the model sees at once.")
    ] = Options.batch_size,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Larger photographs are listed, not decoded.")
    ] = Options.max_pixels,
    workers: Annotated[int, typer.Option(min=1, help="Threads that decode.")] = Options.workers,
    sheet: Annotated[bool, typer.Option(help="Make the page index.html.")] = True,
    sheet_limit: Annotated[int, typer.Option(min=1, help="The most photographs on it.")] = Options.sheet_limit,
    restart: Annotated[bool, typer.Option("--restart", help="Drop what an interrupted run left.")] = Options.restart,
    ray_workers: Annotated[int, typer.Option(min=0, help="Processes of a Ray cluster that score; 0: here.")] = 0,
    ray_address: Annotated[str | None, typer.Option(help="Where that cluster is; left out: this machine.")] = None,
) -> None:
    """Predict photographs: tables and a page with what the model looked at.

    Exit status: 0 all were predicted, 1 some could not be read and are listed, 2 it did not finish, 130 it was
    interrupted. A run that did not finish goes on by the same command.
    """
    from defectdistill.prediction.command import predict

    options = Options(batch_size, max_pixels, workers, sheet_limit if sheet else 0, restart)
    raise typer.Exit(predict(paths, model, calibration, output, options, ray_workers, ray_address))


@app.command("app")
def page(
    host: Annotated[str, typer.Option(help="Address to listen on; another one lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 7860,
    model_folder: Annotated[Path, typer.Option(help="Where student, baseline and teacher lie.")] = Path("models"),
    collect: Annotated[Path, typer.Option(help="Where photographs are kept for training.")] = Path("collected"),
    max_upload_mb: Annotated[int, typer.Option(help="The largest file, in megabytes.")] = Limits.megabytes,
    max_pixels: Annotated[int, typer.Option(help="The most pixels of a photograph.")] = Limits.pixels,
) -> None:
    """Open the page for people who do not program: look at photographs, keep corrections, draw masks."""
    from defectdistill.app.serve import serve

    serve(host, port, model_folder, collect, Limits(max_upload_mb, max_pixels))


def main() -> None:
    """Run a command; an error that this library raises ends in one line.

    Nothing is locked or written here: a command may be typed anywhere, and what must not run twice locks for itself.
    """
    try:
        app()
    except Exception as error:
        if (words := in_words(error) or words_of_a_store(error)) is None:
            raise
        sys.exit(f"defectdistill: {words}")
