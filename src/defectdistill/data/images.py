"""Turns encoded bytes of any common kind into one form, uint8 RGB, or says in one sentence why it cannot.

Pillow decodes, not OpenCV: OpenCV fills the missing half of a truncated JPEG with grey and reports success, and it
cannot tell the size before it has decoded everything. Pillow raises on missing data and reads the header alone.
"""

import io
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

# Twice Pillow's own limit: it refuses more on opening, whatever the caller allows, since a small file can unpack into
# gigabytes.
PIXEL_CEILING = 178_956_970

# Pillow warns of large or damaged files: here each is refused or fine. Once for the process, since `catch_warnings` is
# not made for the threads that decode.
warnings.filterwarnings("ignore", module=r"PIL\.")

# Named one by one, because Pillow's other readers include one (EPS) that starts another program on the file's content.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
_SIGNATURES = (b"\x89PNG", b"\xff\xd8", b"BM", b"II*\0", b"MM\0*", b"RIFF", b"GIF8", b"P5", b"P6", b"\0\0\0\x0cjP")
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")
_PHONE_FORMATS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif")

_ORIENTATION, _BITS_PER_SAMPLE = 0x0112, 0x0102  # tags of EXIF and TIFF
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_PIXELS_AT_ONCE = 1 << 14
_DARK = 4096  # a camera of twelve bits fills 0 to 4095


class BadImage(ValueError):
    """A file that is no usable image; `reason` is one sentence that a person can act on."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def decode_image(data: bytes, max_pixels: int = PIXEL_CEILING) -> np.ndarray:
    """Decode a photograph to uint8 RGB (height, width, 3), upright after its EXIF orientation.

    Grey is repeated over the channels; 16 bits become 8 by dividing the full range by 257 (the same rule for every
    image, so that brightness stays comparable); palettes and CMYK are converted; what is transparent becomes white.
    Raises `BadImage` for zero bytes, text, damaged or truncated files, for several pages of one size (TIFF and GIF; of
    an animation of another kind the first frame is taken), for 16 bits of which twelve or fewer are used (hardly a grey
    level would be left), for what is transparent everywhere, and for more than `max_pixels` pixels (width times
    height), the last one before anything is decoded.
    """
    image = open_image(data, max_pixels)
    if image.mode.startswith("I") or image.mode == "F":
        values = pixels(image)
        if values.max() < _DARK:
            raise _too_dark("grey", values.max())
        grey = scale_to_bytes(values)
        return np.repeat(grey[:, :, None], 3, axis=2)
    # Pillow hands colour of 16 bits over as the upper 8 of each value.
    if _has_sixteen_bits(data) and (most := _brightest(image) << 8 | 255) < _DARK:
        raise _too_dark("colour", most)
    if "A" in image.getbands() or "transparency" in image.info:
        if "A" in image.getbands() and image.getchannel("A").getextrema() == (0, 0):
            raise BadImage("transparent everywhere: nothing of it shows; save it without transparency (alpha)")
        image = over_background(image, (255, 255, 255))
    return np.array(image.convert("RGB"))


def open_image(data: bytes, max_pixels: int) -> Image.Image:
    """Decode to a Pillow image of any mode, upright, all pixels loaded; raises `BadImage` as `decode_image` does."""
    if not data:
        raise BadImage("zero bytes: the file is empty; copy it again")
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        _check_size(image, max_pixels)
        _check_pages(image)
        image.load()
        _check_end(image, data)
        # By the one tag: `ImageOps.exif_transpose` writes all others again, and raises on one of an odd type.
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION))
        return image if turn is None else image.transpose(turn)
    except BadImage:
        raise
    except Image.DecompressionBombError as error:
        raise BadImage(f"larger than {PIXEL_CEILING} pixels, the most that can be decoded; shrink it first") from error
    except UnidentifiedImageError as error:
        raise BadImage(_why_not_an_image(data)) from error
    except Exception as error:  # Pillow's readers raise a dozen kinds on damaged files; one file must not end a run
        if "MAX_TEXT" in str(error):  # Pillow's limits to a PNG's compressed texts: one megabyte each, 64 in all
            reason = "its notes or its colour profile expand beyond the limit; save it anew without them"
            raise BadImage(reason) from error
        raise BadImage(f"truncated or damaged, its pixels cannot be decoded ({error}); copy it again") from error


def pixels(image: Image.Image) -> np.ndarray:
    """Return the values of a Pillow image with one wide channel (modes `I…`, `F`); raises `BadImage` beyond 16 bits."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise BadImage(f"pixel values of 32 bits (from {values.min()} to {values.max()}); save it with 8 or 16 bits")
    return values.astype(np.uint16)


def scale_to_bytes(values: np.ndarray) -> np.ndarray:
    """Map uint16 values 0…65535 to uint8 0…255, rounded: 257 steps become one."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def count_colours(image: np.ndarray, limit: int) -> int:
    """Return how many colours uint8 RGB (height, width, 3) has, `limit` + 1 where there are more."""
    flat, colours = image.reshape(-1, 3), set()
    for start in range(0, len(flat), _PIXELS_AT_ONCE):  # the first of a photograph have more than a few, nearly always
        values = flat[start : start + _PIXELS_AT_ONCE].astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
        colours.update(np.unique(values).tolist())
        if len(colours) > limit:
            return limit + 1
    return len(colours)


def over_background(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """Lay a Pillow image with transparency over an even background `colour` (RGB, 0…255); returns mode RGB."""
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (*colour, 255)), layer).convert("RGB")


def _brightest(image: Image.Image) -> int:
    """Return the largest value of a Pillow image's colour or grey, 255 for a mode whose values are none."""
    extrema = image.getextrema()
    bands = dict(zip(image.getbands(), extrema if isinstance(extrema[0], tuple) else [extrema], strict=True))
    return max((most for band, (_, most) in bands.items() if band in "RGBL"), default=255)


def _has_sixteen_bits(data: bytes) -> bool:
    """Whether the header of a file that could be decoded says that its values are wider than 8 bits."""
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    if image.format == "PNG":
        return data[24] > 8
    if image.format == "TIFF":
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))) > 8
    return image.format == "PPM" and image.tile[0].args[1:] == (65535,)  # (mode, what is white), mode alone for 255


def _too_dark(kind: str, most: int) -> BadImage:
    return BadImage(
        f"{kind} of 16 bits with no value above {most} of 65535, black once it has 8; save it stretched to the full "
        "range (a camera of 12 bits: times 16), or with 8 bits"
    )


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise BadImage(
            f"{width}×{height} = {width * height} pixels, more than the limit of {max_pixels}; "
            "raise ingest.max_pixels or shrink it"
        )


def _check_end(image: Image.Image, data: bytes) -> None:
    # Pillow is content when all rows are there, but a PNG without its end mark was cut all the same.
    if image.format == "PNG" and b"IEND" not in data:
        raise BadImage("truncated: the end mark of the PNG file is missing; copy it again")


def _check_pages(image: Image.Image) -> None:
    if image.format not in ("TIFF", "GIF") or image.n_frames == 1:
        return
    first = image.size
    image.seek(1)
    if image.size == first:  # another size: a preview of the first
        raise BadImage(f"{image.n_frames} pages or frames of one size; save each as a file of its own")
    image.seek(0)


def _why_not_an_image(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in _PHONE_FORMATS:
        return "a HEIC or AVIF photograph, which cannot be read here; export it as JPEG or PNG"
    if data.startswith(_ARCHIVES):
        return "an archive, not an image, which is not unpacked; unpack it and give the images"
    if data.startswith(_SIGNATURES):
        return "truncated or damaged: it begins like an image, but its header cannot be read; copy it again"
    try:
        start = data[:64].decode("utf-8", errors="strict" if len(data) <= 64 else "ignore").split("\n")[0].strip()
    except UnicodeDecodeError:
        start = ""
    if start and start.isprintable():
        return f"not an image but text, it begins with {start[:30]!r}; replace the file"
    return "not an image of a known kind (PNG, JPEG, BMP, TIFF, WebP, GIF, PPM, JPEG 2000); convert it to PNG or JPEG"
