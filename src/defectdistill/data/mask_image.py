"""Decodes a mask file to its raw values, nothing thresholded, scaled or recoloured yet."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from defectdistill.data.images import PIXEL_CEILING, open_image, over_background, pixels, scale_to_bytes

MASK_COLOURS = 8  # a photograph has more
SAME_PICTURE = 0.05  # of its variance: what compression leaves

# What `seems_mask` asks for; of photographs in the two public sets of the docs none comes near, of 786 masks 99 % do.
SOFT = 24  # grey levels from black or from the brightest
OF_TWO_LEVELS = 0.9  # of its pixels, no less
LOOKED_AT = 512  # pixels of its longer side


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


def why_photograph(mask: MaskImage, photograph: np.ndarray, colours: int, seems: bool) -> str | None:
    """Return why a mask is likely to be a photograph, None if it is not.

    `photograph` is what it should be the mask of, as `small` returns it, `colours` that one's number of colours and
    `seems` whether it `seems_mask`. A photograph has more than 64 grey levels. It is told by that none of them covers a
    tenth of it, as a mask's background does; or that it shows the same as the other (one photograph in two formats,
    before an even ground); or that the other has eight colours or fewer, as a mask has, or seems to be one and this
    does not.
    """
    counts = np.bincount(mask.brightness().ravel(), minlength=256)
    if np.count_nonzero(counts) <= 64:
        return None
    if 1 < colours <= MASK_COLOURS:
        return f"is a photograph, and what should be the photograph has {colours} colours: call the mask NAME_mask"
    if seems and not seems_mask(mask.colours()):
        return "is a photograph, and what should be the photograph looks like a mask: call the mask NAME_mask"
    if counts.max() < 0.1 * counts.sum():
        return "looks like a photograph, not a mask; rename it if it is one, or redraw it"
    if photograph.std() > 1 and (small(mask.colours()) - photograph).var() < SAME_PICTURE * photograph.var():
        return "shows the same as the photograph, one picture in two formats; keep one of them"
    return None


def seems_mask(image: np.ndarray) -> bool:
    """Tell whether uint8 RGB (height, width, 3) shows what a mask shows: grey, nearly all of it black or the brightest.

    So do masks with smoothed edges, and those that JPEG has been through; and a few photographs, against the light.
    """
    step = max(1, max(image.shape[:2]) // LOOKED_AT)
    seen = image[::step, ::step].astype(np.int16)
    brightness = seen.max(axis=2)
    black, brightest = brightness <= SOFT, brightness >= brightness.max() - SOFT
    if not black.any() or brightness.max() <= 4 * SOFT or (brightness - seen.min(axis=2)).max() > SOFT:
        return False
    return bool((black | brightest).mean() >= OF_TWO_LEVELS and 4 * brightest.sum() >= (~black).sum())


def small(image: np.ndarray) -> np.ndarray:
    """Return uint8 RGB (height, width, 3) as a small grey picture of 64 × 64 pixels, float32 0…255."""
    grey = Image.fromarray(image).convert("L").resize((64, 64), Image.Resampling.BOX)
    return np.asarray(grey, np.float32)


def _palette(entries: list[int]) -> np.ndarray:
    table = np.zeros((256, 3), np.uint8)
    colours = np.array(entries, np.uint8).reshape(-1, 3)[:256]
    table[: len(colours)] = colours
    return table
