"""Images per second on one core: augment's Table 3 on image and mask against albumentations doing the same.

python benchmarks/augment.py        (needs the extra `bench`)
"""

import argparse

import albumentations
import cv2
import numpy as np
import torch
from measure import in_turn, machine, medians, ratio, seconds, write

from defectdistill.data.augment import PUBLISHED, augment_one, table3

SIZE, IMAGES = 128, 32


def main() -> None:
    """Measure both in turn and write results/augment.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (IMAGES, SIZE, SIZE, 3), dtype=np.uint8)
    masks = generator.integers(0, 2, (IMAGES, SIZE, SIZE), dtype=np.uint8)
    ours = table3(SIZE, **PUBLISHED)
    theirs = albumentations.Compose(
        [
            albumentations.Rotate(limit=15, border_mode=cv2.BORDER_CONSTANT, p=1.0),
            albumentations.HorizontalFlip(p=0.5),
            albumentations.VerticalFlip(p=0.5),
            albumentations.ColorJitter(0.15, 0.15, 0.15, 0.08, p=1.0),
            albumentations.Pad(padding=4, p=1.0),
            albumentations.RandomCrop(SIZE, SIZE, p=1.0),
            albumentations.GaussianBlur(blur_limit=(3, 3), sigma_limit=(0.1, 1.5), p=1.0),
        ]
    )
    sides = {
        "ours": lambda: (
            IMAGES / seconds(lambda: [augment_one(i, m, ours, 0) for i, m in zip(images, masks, strict=True)])
        ),
        "albumentations": lambda: (
            IMAGES / seconds(lambda: [theirs(image=i, mask=m) for i, m in zip(images, masks, strict=True)])
        ),
    }
    measured = in_turn(sides, options.rounds)
    write(
        "augment",
        {
            "machine": machine(1),
            "unit": "images/s on one core",
            "images_per_second": medians(measured),
            "ratios": {"ours/albumentations": ratio(measured, "ours", "albumentations")},
            "all_rounds": measured,
        },
    )


if __name__ == "__main__":
    main()
