"""The registry in MLflow: each version of the student with its evidence, who challenges and who is the champion.

No stage imports it. Models in the registry are read as JSON and safetensors; no code that lies there is run.
"""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from defectdistill.addresses import without_password
from defectdistill.checkpoint import content_hash, read_config
from defectdistill.data.tables import read_json
from defectdistill.evaluation.held_out import Photographs, learned_from, read_photographs
from defectdistill.params import Params
from defectdistill.places import scratch
from defectdistill.registry.evidence import Evidence, gather
from defectdistill.registry.mlflow_model import pack
from defectdistill.registry.promotion import Comparison, compare_again, verdict
from defectdistill.tracking.delivery import Delivery
from defectdistill.tracking.store import EXPERIMENT, connect, first_call, tracking_uri, wait_longer
from defectdistill.training.compute import set_up

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREPARED, RAW, CONSTRAINTS = Path("data/prepared"), Path("data/raw"), Path("constraints.txt")
MODEL, EVALUATION = Path("models/student"), Path("metrics/evaluate.json")
CHALLENGER, CHAMPION = "challenger", "champion"
TAGGED = r"(student\.(arch|weights|seed)|teacher\.(encoder|width)|distill\..+|prepare\.(image_size|resize|seed))"


def register(params: Params) -> list[str]:
    """Register `models/student`, move the aliases by the rule in `registry`, and return what happened in sentences.

    Raises FileNotFoundError or ValueError where the model, its scores or the server cannot be used.
    """
    name, metric = params.registry.name, params.registry.metric
    read_config(MODEL)  # before anything slow: is there a model
    refuse_flattery(read_json(PREPARED / "summary.json")["divided"])
    client = reach()
    set_up(params.compute.threads, "cpu", "fp32")  # as `evaluate` does
    test = read_photographs(PREPARED, RAW, ("test",))
    evidence = gather(MODEL, EVALUATION, test, metric)
    with FileLock(scratch() / "locks" / "registry"):  # or two at once make a version each
        version = find(client, name, content_hash(MODEL))
        line = f"{name} version {version} is this very model: no second one was made"
        if version is None:
            version = create(client, name, evidence, params.ingest.max_pixels)
            line = f"registered {name} version {version}"
        set_tags(client, name, version, measurement(evidence))
        client.set_registered_model_alias(name, CHALLENGER, version)
        decision = decide(client, params, version, evidence, test)
        set_tags(client, name, version, {"decision": decision})
    aliases = ", ".join(sorted(client.get_model_version(name, version).aliases))
    return [line, decision, f"aliases of version {version}: {aliases}"]


def refuse_flattery(protocol: str) -> None:
    """Raise ValueError for a protocol under which a score says little about new objects."""
    if protocol not in ("grouped", "given"):
        raise ValueError(
            f"the data were divided with prepare.protocol = {protocol!r}: test images show objects that were learned "
            "from, so that the score would flatter; set prepare.protocol: grouped and run `dvc repro`"
        )


def reach() -> "MlflowClient":
    """Return a client of the store after a first call; raises ValueError where it does not answer."""
    with first_call():
        client = connect()
        client.search_registered_models(max_results=1)
    wait_longer()
    return client


def find(client: "MlflowClient", name: str, digest: str) -> str | None:
    """Return the version of the registered model `name` that has this content, or None."""
    found = client.search_model_versions(f"name = '{name}' and tags.content_hash = '{digest}'")
    return max((entry.version for entry in found), key=int, default=None)


def create(client: "MlflowClient", name: str, evidence: Evidence, max_pixels: int) -> str:
    """Log `models/student` as an MLflow model, register it, and return the version."""
    from mlflow.models import Model

    run_id = evidence.run and Delivery(client).find(EXPERIMENT, evidence.run)  # a teammate's may be elsewhere
    params = {key: str(value) for key, value in evidence.params.items() if re.fullmatch(TAGGED, key)}
    trained_on = learned_from(PREPARED, RAW)
    experiment_id = client.get_experiment_by_name(EXPERIMENT).experiment_id
    # Step by step, not by `log_model`: that would open the finished run again and move its end.
    logged = client.create_logged_model(experiment_id, "student", run_id, params=params, model_type="classifier")
    status = "FAILED"
    try:
        ids = {"artifact_path": logged.artifact_location, "model_uuid": logged.model_id, "model_id": logged.model_id}
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "model"
            pack(folder, MODEL, trained_on, max_pixels, CONSTRAINTS, Model(run_id=run_id, **ids))
            client.log_model_artifacts(logged.model_id, str(folder))
        status = "READY"
    finally:
        client.finalize_logged_model(logged.model_id, status)
    if run_id:
        link(client, run_id, logged.model_id)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    tags = {"content_hash": content_hash(MODEL), **params, **origin(evidence)}
    source = f"models:/{logged.model_id}"
    return client.create_model_version(name, source, run_id, tags=tags, model_id=logged.model_id).version


def link(client: "MlflowClient", run_id: str, model_id: str) -> None:
    """Show the model on the page of the complete run that scored it."""
    from mlflow.entities import LoggedModelOutput

    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])


def origin(evidence: Evidence) -> dict[str, str]:
    """Return the tags that say where a version comes from; what is not known is left out."""
    tags = {"evaluate.run": evidence.run, "git.commit": evidence.commit}
    if evidence.commit:
        tags["git.dirty"] = str(evidence.dirty).lower()
    return {name: value for name, value in tags.items() if value is not None}


def measurement(evidence: Evidence) -> dict[str, str]:
    """Return the tags that say how good a version is, and on what."""
    return {
        "metric": evidence.metric,
        "score": repr(evidence.score),
        "test_split": evidence.test_split,
        "test_images": str(evidence.test_images),
    }


def set_tags(client: "MlflowClient", name: str, version: str, tags: Mapping[str, str]) -> None:
    """Set tags of a version."""
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)


def decide(client: "MlflowClient", params: Params, version: str, evidence: Evidence, test: Photographs) -> str:
    """Make the version the champion if it is the first, or beats the present one; return what was decided and why."""
    settings = params.registry
    champion = client.get_registered_model(settings.name).aliases.get(CHAMPION)
    if champion is not None and str(champion) == str(version):
        return f"version {version} is the champion already ({evidence.metric} {evidence.score:.4f})"
    if champion is None:
        moves, reason = True, f"{evidence.metric} {evidence.score:.4f}, and there was no champion"
    else:
        compared = compare(client, settings.name, str(champion), evidence, test)
        moves, reason = verdict(compared, settings.metric, settings.min_gain)
    if moves:
        client.set_registered_model_alias(settings.name, CHAMPION, version)
    return f"champion is version {version if moves else champion}: {reason}"


def compare(
    client: "MlflowClient", name: str, champion: str, evidence: Evidence, test: Photographs
) -> Comparison | str:
    """Return the scores of challenger and champion on the same photographs, or why there are none."""
    tags = client.get_model_version(name, champion).tags
    if (tags.get("metric"), tags.get("test_split")) == (evidence.metric, evidence.test_split) and "score" in tags:
        return Comparison(evidence.score, float(tags["score"]), evidence.test_images, "the same test split")
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as temporary:
        try:
            uri = tracking_uri()
            folder = download_artifacts(f"models:/{name}/{champion}/artifacts", dst_path=temporary, tracking_uri=uri)
            return compare_again(MODEL, Path(folder), test, evidence.metric)
        except (MlflowException, OSError, ValueError) as error:
            return without_password(f"it cannot be scored on the present test split ({error})")
