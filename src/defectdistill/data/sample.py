"""What a source hands to `ingest`: one photograph with what is known of it, or the reason why it is left out."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One photograph as a source found or made it, nothing decoded yet.

    `name` is unique within the source: the POSIX path relative to the source's root, with its suffix.
    `label` is the class name, None for an unlabelled image. `image` and `mask` are files or encoded bytes
    (mask: None where there is none). `group` names the object that is shown: images of one group never end up
    on two sides of a split; None means that the image is its own group. `split` is the side that the data set itself
    gives it, train or test, None where it gives none.
    """

    name: str
    label: str | None
    image: Path | bytes
    mask: Path | bytes | None = None
    group: str | None = None
    split: str | None = None

    def image_bytes(self) -> bytes:
        """Return the image as encoded bytes; raises OSError if its file cannot be read."""
        return self.image if isinstance(self.image, bytes) else self.image.read_bytes()

    def mask_bytes(self) -> bytes | None:
        """Return the mask as encoded bytes, None if there is none; raises OSError if its file cannot be read."""
        return self.mask.read_bytes() if isinstance(self.mask, Path) else self.mask


@dataclass(frozen=True)
class Rejected:
    """An input that is left out: its name as in `Sample.name`, and a reason that a person can act on.

    `mask` tells that with it goes what somebody drew: a mask whose photograph is not found, a photograph whose mask
    cannot be used, an annotation that is not read.
    """

    name: str
    reason: str
    mask: bool = False
