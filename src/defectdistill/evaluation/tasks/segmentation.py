"""Evaluation of students that segment: the masks of student, baseline and teacher on the test split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from defectdistill.checkpoint import read_config
from defectdistill.data.tables import write_json
from defectdistill.evaluation.mask_figures import draw_figures, overlay_sheet
from defectdistill.evaluation.mask_report import write_mask_report
from defectdistill.evaluation.mask_results import MODELS, Results, Segmented, mask_results
from defectdistill.evaluation.masked_images import masked_images
from defectdistill.evaluation.plot_style import remarked
from defectdistill.evaluation.report_page import Figures, tested
from defectdistill.models.segmenter import Segmenter

HEADLINE = ("mean_dice", "mean Dice")
WRITTEN = ("report.html", "figures", "evaluate.json")


def evaluate(
    output: Path,
    *,
    prepared: Path,
    models: Mapping[str, Path],
    data: Mapping[str, Any],
    leaks: Mapping[str, Any],
    histories: Mapping[str, Path],
    contact_sheets: Figures,
    params: Mapping[str, Any],
    reproduce: Sequence[str],
    settings: Mapping[str, Any],
) -> Results:
    """Measure the models (student, baseline, teacher: a checkpoint folder each) and write everything below `output`.

    `prepared` is the folder data/prepared, `settings` section `evaluate` of params.yaml; all else as in
    `write_mask_report`. Written are `evaluate.json`, `report.html` and `figures/*.png`; the results are returned.
    """
    output.mkdir(parents=True, exist_ok=True)
    said = ask(prepared / "test", models, data["classes"], settings["batch_size"])
    results = mask_results(said, data["classes"], settings["resamples"], settings["seed"])
    results["data"] = tested(data, leaks, len(said.names))
    write_json(output / "evaluate.json", results)
    with remarked("Synthetic data: generated photographs" if data["synthetic"] else ""):
        figures = draw_figures(output / "figures", results, data["classes"], histories)
    sheet = overlay_sheet(output / "figures/masks.png", said, data["classes"], data["synthetic"])
    write_mask_report(
        output / "report.html",
        title="Distilled segmentation of surface defects",
        data=data,
        leaks=leaks,
        results=results,
        groups=len(set(said.groups)),
        figures=figures,
        contact_sheets=[sheet, *contact_sheets],
        params=params,
        reproduce=reproduce,
    )
    return results


def ask(folder: Path, models: Mapping[str, Path], classes: Sequence[str], batch_size: int) -> Segmented:
    """Return what the models find in the images of a split that have a mask.

    A teacher that is no segmentation network, or that does not tell these classes apart, is left out. Raises
    ValueError as `masked_images`.
    """
    test, found, parameters = masked_images(folder), {}, {}
    for model in MODELS:
        if "student" in read_config(models[model]):  # a classifier
            continue
        segmenter = Segmenter.load(models[model], batch_size)
        parameters[model] = sum(parameter.numel() for parameter in segmenter.network.parameters())
        if segmenter.channels == list(classes):
            found[model] = segmenter.label_maps(test.images)
    return Segmented(test.images, test.true, found, test.names, test.groups, parameters)
