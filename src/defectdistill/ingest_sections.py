"""The section `ingest` of `params.yaml`: where photographs come from, with the settings of every source."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from defectdistill.sections import Count, Name, Section, Seed

READING = ("folder", "severstal", "cifar10")  # sources that read files; the others draw


class Synthetic(Section):
    """Settings of the source `synthetic`."""

    seed: Seed
    image_size: Annotated[int, Field(ge=64, le=2048)]
    short_circuit: Count
    fire_induced_short_circuit: Count
    flame: Count
    unlabelled: Annotated[int, Field(ge=0)]


class Folder(Section):
    """Settings of the source `folder`."""

    groups: Name | None
    group_column: Name | None
    class_level: int | None


class Severstal(Section):
    """Settings of the source `severstal`."""

    table: Name
    images: Name
    good: bool


class Cifar10(Section):
    """Settings of the source `cifar10`."""

    per_class: Count | None


class Shapes(Section):
    """Settings of the source `shapes`."""

    seed: Seed
    train_per_class: Count
    test_per_class: Count


class Tiles(Section):
    """Settings of the source `tiles`: how many tiles of each class to learn from, and of every class to test."""

    seed: Seed
    cracks: Count
    good: Count
    patches: Count
    pits: Count
    scratches: Count
    test_per_class: Count


class Strips(Section):
    """Settings of the source `strips`."""

    seed: Seed
    images: Annotated[int, Field(ge=4)]  # one of each class at least
    image_height: Annotated[int, Field(ge=64, le=2048)]
    image_width: Annotated[int, Field(ge=64, le=8192)]


class Ingest(Section):
    """Where the photographs come from."""

    source: Literal["synthetic", "folder", "severstal", "cifar10", "shapes", "tiles", "strips"]
    path: Name
    max_pixels: Count
    synthetic: Synthetic
    folder: Folder
    severstal: Severstal
    cifar10: Cifar10
    shapes: Shapes
    tiles: Tiles
    strips: Strips

    def require_folder(self) -> None:
        """Raise ValueError where a source that reads files has no folder to read: DVC says only that a file lacks."""
        if self.source not in READING or Path(self.path).is_dir():
            return
        home = f" (`~` is not read here: write {Path(self.path).expanduser()})" * self.path.startswith("~")
        raise ValueError(
            f"ingest.path = {self.path!r}: there is no such folder{home}; give the folder that holds the class "
            "folders, absolute or from the project's folder"
        )
