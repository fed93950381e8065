"""Classify opaque photographs with an exported student; it takes onnxruntime, NumPy and Pillow, nothing else.

python example.py student.onnx PHOTOGRAPH [PHOTOGRAPH ...]
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def main() -> None:
    """Print the class, its probability, and whether a person should look."""
    session = onnxruntime.InferenceSession(sys.argv[1])
    notes = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    for path in sys.argv[2:]:
        photograph = Image.open(path)
        if photograph.mode[0] in "IF" or photograph.has_transparency_data:
            sys.exit(f"{path}: mode {photograph.mode}: divide 16 bits by 257, lay transparency over white first")
        deep = ";16" in str(photograph.tile)  # colour of 16 bits: Pillow hands over the upper 8
        if getattr(photograph, "n_frames", 1) > 1:
            sys.exit(f"{path}: {photograph.n_frames} pages or frames: save each as a file of its own")
        try:
            photograph = ImageOps.exif_transpose(photograph).convert("RGB")  # any size: the file resizes
        except OSError as error:
            print(f"{path}: damaged, not classified ({error})", file=sys.stderr)
            continue
        if deep and np.max(photograph) < 16:
            sys.exit(f"{path}: colour of 16 bits of which 12 or fewer are used: stretch it to the full range first")
        (probs,) = session.run(["probabilities"], {"images": np.asarray(photograph)[None]})[0]
        sure = notes["threshold"] is not None and probs.max() >= notes["threshold"]
        print(f"{path}: {notes['classes'][probs.argmax()]} {probs.max():.3f}" + ("" if sure else ", ask a person"))


if __name__ == "__main__":
    main()
