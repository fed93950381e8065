"""Decodes a mask file to its raw values, nothing thresholded, scaled or recoloured yet."""

from dataclasses import dataclass

import numpy as np

from defectdistill.data.images import PIXEL_CEILING, open_image, over_background, pixels, scale_to_bytes


@dataclass(frozen=True)
class MaskImage:
    """A decoded mask as its file holds it.

    `values` is uint8: (height, width) for grey, label ids and palette indices, (height, width, 3) RGB for colours.
    `palette` is uint8 (256, 3) RGB for a palette image, None otherwise.
    """

    values: np.ndarray
    palette: np.ndarray | None = None

    def colours(self) -> np.ndarray:
        """Return what a viewer shows: uint8 RGB (height, width, 3)."""
        if self.palette is not None:
            return self.palette[self.values]
        return self.values if self.values.ndim == 3 else np.repeat(self.values[:, :, None], 3, axis=2)

    def brightness(self) -> np.ndarray:
        """Return the largest colour channel of what a viewer shows: uint8 (height, width), 0 for black alone."""
        return self.values if self.palette is None and self.values.ndim == 2 else self.colours().max(axis=2)

    def is_coloured(self) -> bool:
        """Tell whether any pixel shows a colour other than a grey."""
        if self.palette is None and self.values.ndim == 2:
            return False
        used = self.palette[np.unique(self.values)] if self.palette is not None else self.values
        return bool((used != used[..., :1]).any())


def decode_mask(data: bytes, max_pixels: int = PIXEL_CEILING) -> MaskImage:
    """Decode a mask, upright after its EXIF orientation.

    Bilevel images become 0 and 255. 16 bits stay as they are if no value exceeds 255 (label ids), else the full range
    is scaled to 0…255. What is transparent counts as black, the background. Raises `BadImage` as `decode_image` does.
    """
    image = open_image(data, max_pixels)
    if image.mode == "P" and "transparency" not in image.info:
        return MaskImage(np.array(image), _palette(image.getpalette()))
    if image.mode.startswith("I") or image.mode == "F":
        values = pixels(image)
        return MaskImage(values.astype(np.uint8) if values.max() <= 255 else scale_to_bytes(values))
    if image.mode in ("1", "L"):
        return MaskImage(np.array(image.convert("L")))
    if "A" in image.getbands() or "transparency" in image.info:
        image = over_background(image, (0, 0, 0))
    values = np.array(image.convert("RGB"))
    # Many programs save a grey mask as RGB: it is grey all the same.
    is_grey = bool((values == values[:, :, :1]).all())
    return MaskImage(values[:, :, 0].copy() if is_grey else values)


def looks_like_photograph(mask: MaskImage) -> bool:
    """Tell whether a mask is likely to be a photograph: more than 64 grey levels, none of them on a tenth of it.

    A mask has an even background; a photograph that was saved in two formats under one stem has not.
    """
    counts = np.bincount(mask.brightness().ravel(), minlength=256)
    return np.count_nonzero(counts) > 64 and counts.max() < 0.1 * counts.sum()


def _palette(entries: list[int]) -> np.ndarray:
    table = np.zeros((256, 3), np.uint8)
    colours = np.array(entries, np.uint8).reshape(-1, 3)[:256]
    table[: len(colours)] = colours
    return table
