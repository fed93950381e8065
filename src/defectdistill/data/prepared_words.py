"""What `prepare` tells a person of the data that it prepared."""

from collections.abc import Iterator, Mapping
from typing import Any

from defectdistill.data.copy_groups import copies_message
from defectdistill.data.given_masks import marks_message
from defectdistill.data.normal import normal_message
from defectdistill.data.preprocess import shape_message


def prepared_words(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words what summary.json says: how masks were read, the split, and whatever is odd."""
    coding = summary["masks"]["coding"]
    read = "" if coding == "none" else f"masks read as {coding}; "
    yield f"{read}{summary['protocol']}: {summary['counts']}"
    if summary["own_test_split"] and summary["divided"] != "given":
        yield (
            f"divided anew: that {summary['own_test_split']} photographs came as a test split is not regarded "
            "(prepare.protocol: given keeps it)"
        )
    said = (shape_message(summary), normal_message(summary["masks"]), marks_message(summary))
    yield from filter(None, (*said, copies_message(summary["near_duplicates"])))
    if summary["divided"] in ("random", "after_augmentation"):
        yield f"WARNING: the scores will flatter (prepare.protocol: {summary['divided']}); see the report"
