"""What takes minutes: twenty kills at random moments over all stages, twelve queued experiments. `make test-slow`."""

import os
import random
import signal
import subprocess
import time

import psutil
import pytest
from repository import (
    STAGES,
    TINY,
    YAML_12,
    are_complete,
    environment,
    executed,
    make_repository,
    outputs,
    run,
    run_queue,
    runs,
    store,
)

pytestmark = pytest.mark.slow
KILLS = 20
LONGER = TINY | {"teacher.epochs": 4, "student.epochs": 4}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A repository after a `dvc repro` that nothing disturbed."""
    folder = make_repository(tmp_path_factory.mktemp("whole") / "repository", LONGER)
    begin = time.monotonic()
    run("dvc repro", folder)
    return folder, time.monotonic() - begin


def kill(dvc: subprocess.Popen, how: str) -> None:
    """Kill only dvc, dvc's process group, or all that it started one by one, as a machine that loses power would."""
    started = psutil.Process(dvc.pid).children(recursive=True)
    if how == "dvc":
        os.kill(dvc.pid, signal.SIGKILL)
    elif how == "group":
        os.killpg(dvc.pid, signal.SIGKILL)
    else:
        for process in [psutil.Process(dvc.pid), *started]:
            process.kill()
    dvc.wait()


def test_twenty_kills_at_random_moments_corrupt_and_lose_nothing(whole, tmp_path):
    """Each attempt is killed after a random time, of the length that a whole run takes in all; what was done stays."""
    folder = make_repository(tmp_path / "killed", LONGER)
    chance, seen, done = random.Random(0), [], 0
    while done < KILLS:
        log = tmp_path / f"{len(seen)}.log"
        with open(log, "w") as file:
            dvc = subprocess.Popen(
                ["dvc", "repro"], cwd=folder, env=environment(), start_new_session=True, stdout=file, stderr=file
            )
            limit = time.monotonic() + chance.uniform(1.0, 0.35 * whole[1])
            while dvc.poll() is None and time.monotonic() < limit:
                time.sleep(0.05)
            killed = dvc.poll() is None
            if killed:
                kill(dvc, chance.choice(["dvc", "group", "machine"]))
                done += 1
        text = log.read_text()
        seen += executed(text)[-1:]
        assert "Traceback" not in text, text
        if not killed:  # everything was there: begin anew with another part of the pipeline
            assert dvc.returncode == 0, text
            assert outputs(folder) == outputs(whole[0])
            start_again_from(folder, chance.choice(STAGES[1:]))
    output = run("dvc repro", folder)
    assert "Traceback" not in output
    assert outputs(folder) == outputs(whole[0])
    run("dvc status", folder)
    print(f"killed in: {seen}")
    every = runs(folder, "defectdistill-stages") + runs(folder)
    assert "RUNNING" not in {entry.info.status for entry in every}
    for entry in every:
        if entry.data.tags["stage"] in ("teacher", "baseline", "distill"):
            steps = [metric.step for metric in store(folder).get_metric_history(entry.info.run_id, "val_loss")]
            assert steps == sorted(set(steps))
    assert not list((folder / ".dvc/tmp/defectdistill/trainings").rglob("*.ckpt"))
    assert not list((folder / ".dvc/tmp/defectdistill/tracking").iterdir())


def start_again_from(folder, stage):
    """Forget, in dvc.lock and in the cache of runs, that a stage and those after it ran."""
    lock = YAML_12.load(folder / "dvc.lock")
    for name in STAGES[STAGES.index(stage) :]:
        lock["stages"].pop(name, None)
    YAML_12.dump(lock, folder / "dvc.lock")
    run("rm -rf .dvc/cache/runs", folder)


def test_twelve_queued_experiments_four_at_a_time_are_twelve_complete_rows(whole):
    folder = whole[0]
    run("git add -A && git commit -qm reproduced", folder)
    betas = {f"queued-{number}": str(round(0.02 * number, 2)) for number in range(1, 13)}
    for name, beta in betas.items():
        run(f"dvc exp run --queue --name {name} -S distill.beta={beta}", folder)
    run_queue(folder, 4)
    assert are_complete(folder, betas)
    for name in betas:
        assert "locked" not in run(f"dvc queue logs {name}", folder)
    rows = [entry for entry in runs(folder, "defectdistill-stages") if entry.data.tags["stage"] == "distill"]
    assert sorted(entry.data.tags["dvc.experiment"] for entry in rows) == sorted([*betas, "workspace"])
    for entry in rows:
        steps = [metric.step for metric in store(folder).get_metric_history(entry.info.run_id, "val_loss")]
        assert steps == list(range(LONGER["student.epochs"]))


def test_an_experiment_in_a_temporary_copy_ends_in_the_one_store(whole):
    run("dvc exp run --temp --name in-temp -S distill.beta=0.9", whole[0])
    assert are_complete(whole[0], {"in-temp": "0.9"})
