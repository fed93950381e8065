"""Classify opaque photographs with an exported student; it takes onnxruntime, NumPy and Pillow, nothing else.

python example.py student.onnx PHOTOGRAPH [PHOTOGRAPH ...]
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read(path: str) -> np.ndarray:
    """Return a photograph as uint8 RGB (H, W, 3), upright; raises OSError or ValueError for what is none."""
    photograph = Image.open(path)
    if photograph.mode[0] in "IF" or photograph.has_transparency_data:
        raise ValueError(f"mode {photograph.mode}: divide 16 bits by 257, lay transparency over white first")
    if photograph.format in ("TIFF", "GIF") and photograph.n_frames > 1:
        raise ValueError(f"{photograph.n_frames} pages or frames: save each as a file of its own")
    deep = ";16" in str(photograph.tile)  # colour of 16 bits: Pillow hands over the upper 8
    image = np.asarray(ImageOps.exif_transpose(photograph).convert("RGB"))
    if deep and image.max() < 16:
        raise ValueError("colour of 16 bits of which 12 or fewer are used: stretch it to the full range first")
    return image


def main() -> int:
    """Print the class, its probability, and whether a person should look; 1 where a file is no photograph."""
    session = onnxruntime.InferenceSession(sys.argv[1])
    notes = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    failed = 0
    for path in sys.argv[2:]:
        try:
            image = read(path)  # any size: the file resizes
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            print(f"{path}: not classified, {error}", file=sys.stderr)
            failed = 1
            continue
        (probs,) = session.run(["probabilities"], {"images": image[None]})[0]
        sure = notes["threshold"] is not None and probs.max() >= notes["threshold"]
        print(f"{path}: {notes['classes'][probs.argmax()]} {probs.max():.3f}" + ("" if sure else ", ask a person"))
    return failed


if __name__ == "__main__":
    sys.exit(main())
