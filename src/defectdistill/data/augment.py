"""Augmented copies of the training images, image and mask together (cable paper, Table 3).

Deviation: the paper splits after augmenting, which puts copies of one photograph on both sides; here only the
training split is augmented.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2
from tqdm import tqdm

from defectdistill.data.packed import INDEX, create_array, open_array, read_index
from defectdistill.data.tables import write_table


def table3(
    size: int,
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

    rotation: degrees to either side; flip: probability of each of the two flips; brightness, contrast, saturation:
    factor 1 ± x; hue: ± x of a full turn; padding: pixels around the image before a random crop to `size`; blur: a 3×3
    Gaussian with σ from 0.1 to `blur` pixels (0: no blur).
    """
    transforms = [
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
    """Write each image of `source` and `copies` changed ones into `output`, as packed arrays.

    `source` is a split folder of `prepare`. Rows stand in the order original, copy 1 … copy n, image after image;
    index.csv gains the column `copy` (0 = the original). `settings` are those of `table3`.
    """
    images, masks = open_array(source / "images.npy"), open_array(source / "masks.npy")
    rows = read_index(source)
    transforms = table3(images.shape[1], **settings)
    each = copies + 1
    output.mkdir(parents=True, exist_ok=True)
    shape = (len(images) * each, *images.shape[1:])
    all_images = create_array(output / "images.npy", np.uint8, shape)
    all_masks = create_array(output / "masks.npy", np.uint8, shape[:3])
    index = []
    for row, entry in enumerate(tqdm(rows, desc="augmenting", unit="image")):
        image, mask = np.array(images[row]), np.array(masks[row])
        for copy in range(each):
            pair = (image, mask)
            if copy:
                pair = augment_one(image, mask, transforms, copy_seed(seed, entry["name"], copy))
            all_images[row * each + copy], all_masks[row * each + copy] = pair
            index.append([*entry.values(), copy])
    all_images.flush()
    all_masks.flush()
    write_table(output / INDEX, [*rows[0], "copy"], index)
