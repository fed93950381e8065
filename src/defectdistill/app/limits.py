"""The most that the page takes, with what the command line takes where nothing is said: it reads the defaults here."""

from dataclasses import dataclass

MEGABYTE = 1_000_000  # bytes


@dataclass(frozen=True)
class Limits:
    """The most that a photograph may have (bytes of its file, pixels), and how many may be dropped at once.

    Raises ValueError for limits that no photograph could keep, or that cannot be kept.
    """

    megabytes: int = 50
    pixels: int = 100_000_000
    photographs: int = 100

    def __post_init__(self):
        from defectdistill.data.images import PIXEL_CEILING  # imports NumPy and Pillow, which `--help` needs not

        if self.megabytes < 1:
            raise ValueError(f"--max-upload-mb is {self.megabytes}: expected at least 1")
        if not 1 <= self.pixels <= PIXEL_CEILING:
            raise ValueError(f"--max-pixels is {self.pixels}: expected 1 to {PIXEL_CEILING}, the most that is decoded")

    @property
    def bytes(self) -> int:
        """The largest file, in bytes."""
        return self.megabytes * MEGABYTE
