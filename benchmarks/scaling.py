"""Seconds and disk of augment, freeze and one epoch of distilling, from 100 to 10,000 photographs.

    python benchmarks/scaling.py

Random images of 64 px, one augmented copy each, U-Net3+ width 16, two levels, ResNet-18: small, so that the largest
set takes minutes; what matters is how it grows.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import machine, write

from defectdistill import checkpoint
from defectdistill.data.augment import PUBLISHED, augment
from defectdistill.data.batches import image_batches
from defectdistill.data.tables import write_table
from defectdistill.distillation.feature_writer import write_store
from defectdistill.distillation.frozen_unet3plus import freeze_unet3plus
from defectdistill.models.students import build_student
from defectdistill.models.unet3plus import build_unet3plus, unet3plus_config
from defectdistill.training.classification import ClassificationTask, Optimisation
from defectdistill.training.compute import Machine, set_up
from defectdistill.training.distillation import distilling_task
from defectdistill.training.fit import fit

SIZE, BATCH, LEVELS, VALIDATION = 64, 16, [8, 16], 32
DISTILL = {
    "method": "feature_fusion", "unlabelled": False, "levels": LEVELS, "beta": 0.5, "gamma": 0.1, "align": True,
    "terms": {"mse": True, "cosine": True, "ssim": False}, "schedule": "ramp", "alpha_start": 0.1, "alpha_end": 0.5,
}  # fmt: skip


def photographs(folder: Path, count: int) -> Path:
    """Write a split folder of random images, masks and an index."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    np.save(folder / "images.npy", generator.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8))
    np.save(folder / "masks.npy", generator.integers(0, 2, (count, SIZE, SIZE), dtype=np.uint8))
    rows = [(f"{n}.png", n % 3, n, "given") for n in range(count)]
    write_table(folder / "index.csv", ("name", "label", "group", "mask_source"), rows)
    return folder


def disk(folder: Path) -> float:
    """Return the megabytes in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def measure(count: int, chosen: Machine) -> dict[str, float]:
    """Return seconds and megabytes for `count` photographs."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        source, validation = photographs(root / "train", count), photographs(root / "val", VALIDATION)
        result, start = {"photographs": count}, time.perf_counter()

        def lap(key: str) -> None:
            nonlocal start
            result[key] = time.perf_counter() - start
            start = time.perf_counter()

        augment(source, root / "augmented", 1, 0, **PUBLISHED)
        lap("augment_s")
        network, config = build_unet3plus("plain", 16, 1), unet3plus_config("plain", 16, ["defect"], SIZE, "squash")
        checkpoint.save(root / "teacher", network.state_dict(), config)
        frozen = freeze_unet3plus(network, config["unet3plus"], LEVELS, class_maps=False)
        frozen.save(root / "frozen_teacher")
        splits = {"train": root / "augmented", "val": validation}
        start = time.perf_counter()
        trained = checkpoint.content_hash(root / "teacher")
        write_store(root / "store", frozen.to(chosen.device), trained, splits, BATCH, chosen.precision == "bf16")
        lap("freeze_s")
        settings = Optimisation(lr=1e-4, min_lr=0, weight_decay=5e-4, warmup=0.5, epochs=1, label_smoothing=0.1)
        task = ClassificationTask(build_student("resnet18", 3), 3, settings)
        task, stored, _ = distilling_task(task, DISTILL, root / "store", root / "teacher", splits, root)
        loaders = [
            image_batches(folder, BATCH, seed, stored[split], chosen.on_gpu)
            for (split, folder), seed in zip(splits.items(), (0, None), strict=True)
        ]
        start = time.perf_counter()
        kept = {"folder": root / "training", "history": root / "history.csv"}
        fit(task, *loaders, epochs=1, monitor=("val_loss", "min"), patience=1, machine=chosen, seed=0, **kept)
        lap("distill_epoch_s")
        return result | {"augmented_mb": disk(root / "augmented"), "features_mb": disk(root / "store")}


def main() -> None:
    """Measure each size once and write results/scaling.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--photographs", type=int, nargs="+", default=[100, 300, 1000, 3000, 10000])
    options = parser.parse_args()
    chosen = set_up(options.threads, "auto", "auto")
    measure(50, chosen)  # to warm up
    curve = [measure(count, chosen) for count in options.photographs]
    write("scaling", {"machine": machine(options.threads) | {"precision": chosen.precision}, "curve": curve})


if __name__ == "__main__":
    main()
