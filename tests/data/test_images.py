import bz2
import gzip
import io
import lzma
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from defectdistill.data.images import BadImage, count_colours, decode_image
from defectdistill.data.mask_image import decode_mask

HEIGHT, WIDTH = 40, 60


def picture():
    """Return smooth colours, red growing to the right and green downwards, that survive JPEG."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([columns * 4, rows * 6, np.full_like(rows, 60)], axis=2).astype(np.uint8)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def reason_of(data, **options):
    with pytest.raises(BadImage) as caught:
        decode_image(data, **options)
    assert caught.value.reason == str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_what_is_transparent_everywhere_is_refused_and_not_white(kind):
    unused = np.dstack([picture(), np.zeros((HEIGHT, WIDTH), np.uint8)])
    assert "transparent everywhere" in reason_of(encoded(unused, kind, exact=True))
    unused[0, 0, 3] = 255
    assert decode_image(encoded(unused, kind, exact=True))[-1, -1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "JPEG", "WEBP", "JPEG2000"])
def test_every_kind_of_file_becomes_rgb(kind):
    decoded = decode_image(encoded(picture(), kind))
    assert decoded.dtype == np.uint8
    assert decoded.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(decoded.astype(int) - picture()).mean() < 8
    assert decoded.flags.writeable


def test_grey_is_repeated_over_the_channels():
    grey = picture()[:, :, 0]
    assert (decode_image(encoded(grey)) == grey[:, :, None]).all()


def test_bilevel_becomes_black_and_white():
    bits = picture()[:, :, 0] > 100
    assert (decode_image(encoded(Image.fromarray(bits)))[:, :, 1] == bits * 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_over_the_full_range(kind):
    deep = np.array([[0, 257, 32896, 65535]], np.uint16).repeat(3, axis=0)
    assert decode_image(encoded(deep, kind))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("most", [255, 4095])
def test_sixteen_bits_of_which_few_are_used_are_refused(most):
    deep = np.array([[0, most]], np.uint16).repeat(3, axis=0)
    with pytest.raises(BadImage, match=f"no value above {most} of 65535.*times 16"):
        decode_image(encoded(deep, "TIFF"))
    assert decode_image(encoded(deep + 1 if most == 4095 else deep * 257, "TIFF")).max() >= 16


def test_colours_are_counted_up_to_a_limit():
    image = np.zeros((300, 300, 3), np.uint8)
    image[299, 299] = 5  # a single pixel: no sample finds it
    assert count_colours(image, 8) == 2
    assert count_colours(np.arange(300, dtype=np.uint16).astype(np.uint8).reshape(1, 100, 3), 8) == 9


def test_sixteen_bit_colour_from_opencv_keeps_its_colours():
    deep = picture().astype(np.uint16) * 257
    data = cv2.imencode(".png", deep[:, :, ::-1])[1].tobytes()
    assert np.abs(decode_image(data).astype(int) - picture()).max() <= 1


def deep_colour(kind, most, channels=3):
    """Return a file of 16 bits and several channels, opaque, with no value above `most`, as OpenCV writes it."""
    deep = (picture().astype(np.uint32) * most // picture().max()).astype(np.uint16)
    alpha = np.full((HEIGHT, WIDTH, channels - 3), 65535, np.uint16)
    return cv2.imencode(kind, np.concatenate([deep[:, :, ::-1], alpha], axis=2))[1].tobytes()


@pytest.mark.parametrize(("kind", "channels"), [(".png", 3), (".png", 4), (".tiff", 3), (".tiff", 4), (".ppm", 3)])
@pytest.mark.parametrize("most", [255, 3900])
def test_sixteen_bit_colour_of_which_few_are_used_is_refused(kind, channels, most):
    reason = reason_of(deep_colour(kind, most, channels))
    assert "colour of 16 bits with no value above" in reason
    assert "of 65535, black once it has 8; save it stretched to the full range" in reason
    assert decode_image(deep_colour(kind, 4500, channels)).max() >= 16


def test_a_turned_sixteen_bit_file_that_uses_few_is_refused():
    exif = Image.Exif()
    exif[0x0112] = 6
    block = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    data = deep_colour(".png", 4095)
    start = data.index(b"IDAT") - 4
    assert "colour of 16 bits with no value above 4095" in reason_of(data[:start] + block + data[start:])
    bright = deep_colour(".png", 65535)
    assert decode_image(bright[:start] + block + bright[start:]).shape == (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_a_dark_photograph_of_eight_bits_is_read(kind):
    assert (decode_image(encoded(picture() // 20, kind)) == picture() // 20).all()


def test_transparent_becomes_white():
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:, :10] = 0
    decoded = decode_image(encoded(np.concatenate([picture(), alpha], axis=2)))
    assert (decoded[:, :10] == 255).all()
    assert (decoded[:, 10:] == picture()[:, 10:]).all()


def test_palette_shows_its_colours():
    image = Image.fromarray((picture()[:, :, 0] > 100).astype(np.uint8), "L").convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    assert decode_image(encoded(image))[0, [0, -1]].tolist() == [[10, 20, 30], [200, 100, 50]]


def test_cmyk_becomes_rgb():
    decoded = decode_image(encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(decoded.astype(int) - picture()).mean() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(orientation):
    turns = {1: 0, 3: 2, 6: 1, 8: 3, 2: 0, 4: 2, 5: 1, 7: 3}  # quarter turns that undo what the viewer will do
    stored = np.rot90(picture(), turns[orientation])
    if orientation in (2, 4):
        stored = stored[:, ::-1]
    elif orientation in (5, 7):
        stored = stored[::-1]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(stored), "PNG", exif=exif)
    assert (decode_image(data) == picture()).all()


def test_a_tag_of_an_odd_type_does_not_cost_a_photograph_with_sound_pixels():
    """An XResolution (0x011A) of the type UNDEFINED (7), which Pillow reads and cannot write again."""
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHI4s", 0x011A, 7, 4, b"72dp")
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    stored = np.ascontiguousarray(np.rot90(picture()))
    decoded = decode_image(encoded(stored, "JPEG", exif=block, quality=95))
    assert decoded.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(decoded.astype(int) - picture()).mean() < 8


def test_several_pictures_in_one_file_give_the_first():
    first, second = Image.fromarray(picture()), Image.fromarray(255 - picture())
    decoded = decode_image(encoded(first, "MPO", save_all=True, append_images=[second], quality=95))
    assert np.abs(decoded.astype(int) - picture()).mean() < 8


def test_zero_bytes():
    assert "zero bytes" in reason_of(b"")


def test_text_named_like_an_image_is_called_text():
    assert "not an image but text" in reason_of(b"<!DOCTYPE html><p>404 Not found</p>" * 9)


def test_bytes_that_are_no_image():
    assert "not an image of a known kind" in reason_of(bytes([0, 200, 1, 255]) * 50)


def test_phone_photographs_are_named():
    assert "HEIC" in reason_of(b"\0\0\0\x18ftypheic" + bytes(100))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_refused_not_half_grey(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    data = encoded(noise, kind)
    assert "truncated" in reason_of(data[: int(share * len(data))])


def test_a_truncated_progressive_jpeg_is_refused():
    data = encoded(picture(), "JPEG", progressive=True)
    assert "truncated" in reason_of(data[:-40])


def test_a_png_without_its_end_is_refused():
    assert "truncated" in reason_of(encoded(picture())[:-12])


def test_a_jpeg_whose_rest_is_zeros_is_refused():
    data = encoded(picture(), "JPEG")
    half = len(data) // 2
    assert "truncated" in reason_of(data[: len(data) - half] + bytes(half))


def test_too_many_pixels_are_refused_by_the_header_alone():
    data = encoded(picture())
    assert decode_image(data, max_pixels=HEIGHT * WIDTH).shape[0] == HEIGHT
    # Only the header is there: whoever decoded first would report a truncated file.
    reason = reason_of(data[:60], max_pixels=HEIGHT * WIDTH - 1)
    assert "60×40 = 2400 pixels" in reason
    assert "2399" in reason
    assert "ingest.max_pixels" in reason


def test_more_than_can_ever_be_decoded_is_refused():
    header = bytearray(encoded(picture())[:60])
    header[16:24] = (40000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    assert "larger than" in reason_of(bytes(header), max_pixels=10**12)


@pytest.mark.parametrize("decode", [decode_image, decode_mask], ids=["image", "mask"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000"])
def test_no_kind_of_file_is_decoded_beyond_the_limit(kind, decode, monkeypatch):
    data = encoded(picture(), kind)
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(BadImage, match="60×40 = 2400 pixels, more than the limit of 2399"):
        decode(data, max_pixels=HEIGHT * WIDTH - 1)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize(
    "notes",
    [
        chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(10**8))),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(10**8))),
        chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(10**8))),
        chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(10**8))),
        chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(10**6))) * 100,
    ],
    ids=["zTXt", "EXIF in zTXt", "iTXt", "iCCP", "many zTXt"],
)
def test_a_png_whose_notes_expand_without_end_is_refused(notes):
    data = encoded(picture())
    start = data.index(b"IDAT") - 4
    assert "notes or its colour profile" in reason_of(data[:start] + notes + data[start:])


def test_a_frame_larger_than_its_gif_counts():
    data = bytearray(encoded(Image.new("P", (20, 20)), "GIF"))
    frame = data.index(b",", 13)  # the image descriptor: left, top, width, height
    data[frame + 5 : frame + 9] = struct.pack("<HH", 3000, 3000)
    assert "3000×3000 = 9000000 pixels" in reason_of(bytes(data), max_pixels=1000)


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_pages_of_one_size_are_refused(kind):
    frames = [Image.new("RGB", (60, 40), (level, 0, 0)) for level in (0, 90, 200)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert reason_of(data) == "3 pages or frames of one size; save each as a file of its own"
    with pytest.raises(BadImage, match="3 pages"):
        decode_mask(data)


def test_a_page_of_another_size_is_a_preview():
    page = Image.fromarray(picture())
    data = encoded(page, "TIFF", save_all=True, append_images=[page.resize((15, 10))])
    assert np.array_equal(decode_image(data), picture())


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_of_many_frames_one_is_decoded(kind):
    frames = [Image.new("RGB", (60, 40), (level, 0, 0)) for level in range(0, 200, 10)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == len(frames)
    assert decode_image(data, max_pixels=HEIGHT * WIDTH).shape == (HEIGHT, WIDTH, 3)


def test_a_jpeg_2000_whose_box_tells_another_size_than_its_pixels_is_refused():
    data = bytearray(encoded(picture(), "JPEG2000"))
    box = data.index(b"ihdr")
    data[box + 4 : box + 12] = struct.pack(">II", 2, 3)
    assert "truncated or damaged" in reason_of(bytes(data), max_pixels=1000)


@pytest.mark.parametrize(
    "data",
    [b"PK\x03\x04" + bytes(60), gzip.compress(bytes(90)), bz2.compress(bytes(90)), lzma.compress(bytes(90))],
    ids=["zip", "gzip", "bzip2", "xz"],
)
def test_an_archive_named_like_an_image_is_called_one(data):
    assert "an archive, not an image, which is not unpacked" in reason_of(data)


def test_floating_point_pixels_are_refused():
    assert "32 bits" in reason_of(encoded(np.ones((4, 4), np.float32), "TIFF"))


def test_a_format_that_starts_other_programs_is_never_opened():
    assert "text" in reason_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")


def test_decoding_in_threads_leaves_what_is_warned_of_as_it_was():
    data, before = encoded(picture()), list(warnings.filters)
    with ThreadPoolExecutor(4) as threads:
        assert len(list(threads.map(decode_image, [data] * 200))) == 200
    assert warnings.filters == before
