"""Images per second of distilling ResNet-18 from U-Net3+ width 64 at 224 px, batch 16, two levels, the full loss.

    python benchmarks/distill_step.py

Sides, in turn in one run: ours with stored features, ours without (the frozen teacher in every step), the student
alone through the same training loop (the limit), torchdistill 1.1.5, torchdistill 1.1.4 with its teacher cache warm,
and a plain PyTorch loop. All train the same student, alignment and terms. The others run as they come: the whole
teacher, fp32, and the terms from torch and pytorch-msssim, as their users would write them. The two versions of
torchdistill are installed beside the environment, into `.bench/`.
"""

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import Worker, in_turn, machine, medians, ratio, write

from defectdistill import checkpoint
from defectdistill.data.batches import PackedBatches, batches
from defectdistill.data.tables import write_table
from defectdistill.distillation.feature_writer import write_store
from defectdistill.distillation.frozen_unet3plus import freeze_unet3plus
from defectdistill.models.students import build_student
from defectdistill.models.unet3plus import build_unet3plus, unet3plus_config
from defectdistill.training.classification import ClassificationTask, Optimisation
from defectdistill.training.compute import Machine, set_up
from defectdistill.training.distillation import distilling_task
from defectdistill.training.fit import fit

BATCH, SIZE, IMAGES, WARM = 16, 224, 64, 4
ROUNDS_OF_IMAGES = 4  # in one training: 16 steps, the first WARM of them not counted
LEVELS = [8, 16]
DISTILL = {
    "method": "feature_fusion", "unlabelled": False, "levels": LEVELS, "beta": 0.5, "gamma": 0.1, "align": True,
    "terms": {"mse": True, "cosine": True, "ssim": True}, "schedule": "ramp", "alpha_start": 0.1, "alpha_end": 0.5,
}  # fmt: skip
OPTIMISATION = Optimisation(lr=1e-4, min_lr=0, weight_decay=5e-4, warmup=0.5, epochs=1, label_smoothing=0.1)
BESIDE = Path(".bench")
VERSIONS = {"torchdistill_1.1.4_warm": "1.1.4", "torchdistill_1.1.5": "1.1.5"}


def prepare(folder: Path, chosen: Machine) -> None:
    """Write random images, a teacher with random weights, its frozen part, and stores with and without features."""
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, SIZE, SIZE, 3), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    write_table(folder / "index.csv", ("name", "label"), [(f"{n}.png", n % 3) for n in range(len(images))])
    network = build_unet3plus("plain", 64, 1)
    config = unet3plus_config("plain", 64, ["defect"], SIZE, "squash")
    checkpoint.save(folder / "teacher", network.state_dict(), config)
    frozen = freeze_unet3plus(network, config["unet3plus"], LEVELS, class_maps=False)
    frozen.save(folder / "frozen_teacher")
    name = checkpoint.content_hash(folder / "teacher")
    for store in ("always", "never"):
        write_store(
            folder / store, frozen.to(chosen.device), name, {"train": folder}, BATCH, chosen.precision == "bf16", store
        )


def ours(folder: Path, store: str | None, chosen: Machine) -> float:
    """Return images per second of one training through the real loop; without a store the student alone."""
    task, extra = ClassificationTask(build_student("resnet18", 3), 3, OPTIMISATION), {}
    if store:
        splits = {"train": folder}
        task, stored, _ = distilling_task(task, DISTILL, folder / store, folder / "teacher", splits, folder)
        extra = stored["train"]
    arrays = {"image": np.load(folder / "images.npy", mmap_mode="r"), "label": np.arange(IMAGES) % 3} | extra
    stamps = []
    task.on_train_batch_end = lambda *_: stamps.append(time.perf_counter())
    rows = np.tile(np.arange(IMAGES), ROUNDS_OF_IMAGES)
    train = batches(PackedBatches(arrays, rows, chosen.on_gpu), BATCH, seed=0)
    validation = batches(PackedBatches(arrays, np.arange(2)), 2)
    beside = tempfile.mkdtemp(dir=folder)  # a new one each time: a training goes on from what it finds
    kept = {"folder": Path(beside), "history": Path(beside, "history.csv")}
    fit(task, train, validation, epochs=1, monitor=("val_loss", "min"), patience=1, machine=chosen, seed=0, **kept)
    return BATCH * (len(stamps) - WARM) / (stamps[-1] - stamps[WARM - 1])


def worker(folder: Path, side: str, threads: int) -> Worker:
    """Return another side in a process of its own; it prepares, its cache is warm."""
    beside = [str(installed(VERSIONS[side]))] if side in VERSIONS else []
    return Worker(Path(__file__).with_name("other_sides.py"), str(folder), side, str(threads), str(BATCH), *beside)


def installed(version: str) -> Path:
    """Return the folder with a version of torchdistill, installing it there if it is missing."""
    folder = BESIDE / f"torchdistill-{version}"
    if not folder.is_dir():
        wanted = f"torchdistill=={version}"
        subprocess.run(["uv", "pip", "install", "--no-deps", "--target", str(folder), wanted], check=True)
    return folder.resolve()


def main() -> None:
    """Measure all sides and write results/distill_step.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    chosen = set_up(options.threads, "auto", "auto")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, chosen)
        sides = {
            "ours_stored": lambda: ours(folder, "always", chosen),
            "student_alone": lambda: ours(folder, None, chosen),
            "ours_without_store": lambda: ours(folder, "never", chosen),
        }
        workers = {side: worker(folder, side, options.threads) for side in [*VERSIONS, "plain_loop"]}
        sides |= {side: other.measure for side, other in workers.items()}
        measured = in_turn(sides, options.rounds)
        for other in workers.values():
            other.end()
    result = {
        "machine": machine(options.threads) | {"precision": chosen.precision},
        "unit": "images/s, median",
        "images_per_second": medians(measured),
        "all_rounds": measured,
        "ratios": {
            f"ours_stored/{side}": ratio(measured, "ours_stored", side) for side in measured if side != "ours_stored"
        },
    }
    write("distill_step", result)


if __name__ == "__main__":
    main()
