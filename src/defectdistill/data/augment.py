"""Augmented copies of the training images, image and mask together (cable paper, Table 3, and quarter turns).

Deviation: the paper splits after augmenting, which puts copies of one photograph on both sides; here only what is
learned from is augmented: the training split, and photographs without a label.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2
from tqdm import tqdm

from defectdistill.data.packed import INDEX, create_array, open_array
from defectdistill.data.tables import read_columns, read_table, write_table

# Table 3 as it stands in the paper, in `table3`'s terms.
PUBLISHED = {
    "quarter_turn": 0.0,
    "rotation": 15.0,
    "flip": 0.5,
    "brightness": 0.15,
    "contrast": 0.15,
    "saturation": 0.15,
    "hue": 0.08,
    "padding": 4,
    "blur": 1.5,
}


def table3(
    size: int,
    quarter_turn: float,
    rotation: float,
    flip: float,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    padding: int,
    blur: float,
) -> v2.Compose:
    """Return the transforms of Table 3, in its order, for images of `size` pixels a side.

    quarter_turn: probability of a turn by 90° before them, which Table 3 does not have (with the flips at a half all
    eight ways to lay a photograph are equally likely); rotation: degrees to either side; flip: probability of each of
    the two flips; brightness, contrast, saturation: factor 1 ± x; hue: ± x of a full turn; padding: pixels around the
    image before a random crop to `size`; blur: a 3×3 Gaussian with σ from 0.1 to `blur` pixels (0: no blur).
    """
    transforms = [] if quarter_turn == 0 else [v2.RandomApply([v2.RandomRotation((90, 90))], quarter_turn)]
    transforms += [
        v2.RandomRotation(rotation, interpolation=v2.InterpolationMode.BILINEAR),
        v2.RandomHorizontalFlip(flip),
        v2.RandomVerticalFlip(flip),
        v2.ColorJitter(brightness, contrast, saturation, hue),
        v2.RandomCrop(size, padding=padding),
    ]
    if blur > 0:
        transforms.append(v2.GaussianBlur(3, (min(0.1, blur), blur)))
    return v2.Compose(transforms)


def copy_seed(seed: int, name: str, copy: int) -> int:
    """Return the seed of one copy of one image: it depends on nothing else, so other images do not change it."""
    digest = hashlib.sha256(f"{seed}/{name}/{copy}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # torch takes seeds below 2⁶³


def augment_one(
    image: np.ndarray, mask: np.ndarray, transforms: v2.Compose, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a transformed copy of an image uint8 (S, S, 3) and its mask uint8 (S, S), drawn with `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        turned, turned_mask = transforms(
            tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1)), tv_tensors.Mask(torch.from_numpy(mask))
        )
    return turned.permute(1, 2, 0).numpy(), turned_mask.numpy()


def augment(source: Path, output: Path, copies: int, seed: int, **settings: float) -> None:
    """Write each image of `source` and `copies` changed ones into `output`, as packed arrays, with their masks if any.

    `source` is a folder of `prepare`; unlabelled images that show an object of another split are left out. Rows stand
    in the order original, copy 1 … copy n, image after image, which index.csv's column `copy` says (0 = the original).
    Where `prepare` has made copies before it divided them, they are taken as they are, and none are added. `settings`
    are those of `table3`.
    """
    images, index = open_array(source / "images.npy"), read_table(source / INDEX)
    rows = [row for row, entry in enumerate(index) if not entry.get("held_out")]
    made_before = any(entry.get("copy", "0") != "0" for entry in index)
    copies = 0 if made_before else copies
    masks = open_array(source / "masks.npy") if (source / "masks.npy").exists() else None
    transforms, each = table3(images.shape[1], **settings), copies + 1
    output.mkdir(parents=True, exist_ok=True)
    shape = (len(rows) * each, *images.shape[1:])
    written = [create_array(output / "images.npy", np.uint8, shape)]
    if masks is not None:
        written.append(create_array(output / "masks.npy", np.uint8, shape[:3]))
    blank = np.zeros(images.shape[1:3], np.uint8)
    for position, row in enumerate(tqdm(rows, desc=f"augmenting {source.name}", unit=" images", disable=None)):
        original = np.array(images[row]), blank if masks is None else np.array(masks[row])
        for copy in range(each):
            pair = original
            if copy:
                pair = augment_one(*original, transforms, copy_seed(seed, index[row]["name"], copy))
            for array, part in zip(written, pair, strict=False):
                array[position * each + copy] = part
    columns = [column for column in read_columns(source / INDEX) if column not in ("held_out", "copy")]
    numbers = [[entry["copy"]] if made_before else range(each) for entry in index]
    copied = [[*(index[row][column] for column in columns), copy] for row in rows for copy in numbers[row]]
    write_table(output / INDEX, [*columns, "copy"], copied)
