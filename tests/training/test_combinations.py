"""Every kind of teacher with every kind of student by every method, for one batch; what does not combine is refused by
name in `check`. The table in docs/methods.md says the same."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from repository import PROJECT, YAML_12
from test_tasks import DISTILL, OPTIMISATION, pictures

from defectdistill import checkpoint
from defectdistill.data.tables import write_table
from defectdistill.distill_sections import ASKED
from defectdistill.distillation.feature_writer import write_store
from defectdistill.distillation.frozen import freeze_any
from defectdistill.models.students import build_student, classifier_config
from defectdistill.models.unet3plus import UNet3Plus, unet3plus_config
from defectdistill.params import Params
from defectdistill.training.classification import ClassificationTask, Optimisation
from defectdistill.training.distillation import METHODS, STORED, distilling_task

CLASSES = ["a", "b"]
SEGMENTING = {"unet3plus, classes": CLASSES, "unet3plus, binary": ["defect"]}
CLASSIFYING = {"classifier": ("small_cnn_3", "sarsn_18", "shufflenet_v2_x0_5")}
STUDENTS = ("small_cnn_3", "sarsn_18", "shufflenet_v2_x0_5", "mobilenet_v3_small")
NEEDED = {"unet3plus, binary": {"soft_targets": 0.0}, "classifier": {"class_map": 0.0}}  # weights of `combined`


def table():
    """Return {method: {teacher: whether it combines}} as docs/methods.md says."""
    lines = (PROJECT / "docs/methods.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    begin = next(number for number, row in enumerate(rows) if row[0] == "method" and "`classifier`" in row)
    teachers, found = [head.replace("`", "") for head in rows[begin][1:]], {}
    for names, *cells in rows[begin + 2 :]:
        if not (methods := re.findall(r"`(\w+)`", names)) or len(cells) != len(teachers):
            break
        for method in methods:
            asked = cells if cells[1] else ["yes"] * len(teachers)
            found[method] = {teacher: cell != "no" for teacher, cell in zip(teachers, asked, strict=True)}
    return found


TABLE = table()


def test_the_table_of_the_docs_is_about_the_teachers_and_methods_that_there_are():
    assert set(TABLE) == set(METHODS)
    assert all(set(row) == {*SEGMENTING, *CLASSIFYING} for row in TABLE.values())


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A folder for each teacher, with images, masks and its frozen form; nothing is stored, so that it is asked."""
    networks = {
        name: (UNet3Plus(out_channels=len(channels), width=2), channels) for name, channels in SEGMENTING.items()
    }
    networks |= {f"classifier {arch}": (build_student(arch, 2), arch) for arch in CLASSIFYING["classifier"]}
    folders = {}
    for name, (network, kind) in networks.items():
        folder = folders[name] = tmp_path_factory.mktemp(name.replace(", ", "_"))
        np.save(folder / "images.npy", pictures(4)["image"])
        np.save(folder / "masks.npy", pictures(4)["mask"])
        rows = [(f"{n}.png", n % 2, "given") for n in range(4)]
        write_table(folder / "index.csv", ("name", "label", "mask_source"), rows)
        segments = name in SEGMENTING
        config = (
            unet3plus_config("plain", 2, kind, 32, "pad") if segments else classifier_config(kind, CLASSES, 32, "pad")
        )
        checkpoint.save(folder / "teacher", network.state_dict(), config)
        frozen = freeze_any(folder / "teacher", [4], class_maps=segments)
        frozen.save(folder / "frozen_teacher")
        hash_of = checkpoint.content_hash(folder / "teacher")
        write_store(folder / "store", frozen, hash_of, {"train": folder}, 4, False, "never")
    return folders


@pytest.mark.parametrize("arch", STUDENTS)
@pytest.mark.parametrize("method", METHODS)
def test_what_combines_learns_from_a_batch(taught, method, arch):
    for name, folder in taught.items():
        kind = name if name in SEGMENTING else "classifier"
        if not TABLE[method][kind]:
            continue
        weights = DISTILL["weights"] | (NEEDED.get(kind, {}) if method == "combined" else {})
        settings = DISTILL | {"method": method, "levels": [4], "weights": weights}
        task = ClassificationTask(build_student(arch, 2), 2, Optimisation(**OPTIMISATION))
        given = (folder / "store", folder / "teacher", {"train": folder}, folder / "none")
        distilling, arrays, _ = distilling_task(task, settings, *given)
        batch = {"image": torch.from_numpy(pictures(4)["image"]), "label": torch.arange(4) % 2}
        batch |= {key: torch.from_numpy(np.array(value)) for key, value in arrays["train"].items()}
        assert method in ("masks", "none") or not [key for key in batch if key.startswith(STORED)]
        logits, terms = distilling.train().distil(distilling.answered(batch))
        (F.cross_entropy(logits, batch["label"]) + terms["total"]).backward()
        gradients = [parameter.grad for parameter in distilling.student.parameters()]
        assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients), name


@pytest.mark.parametrize("teacher", [*SEGMENTING, "classifier"])
@pytest.mark.parametrize("method", METHODS)
def test_what_does_not_combine_is_refused_by_name(method, teacher):
    base = "pipelines/fitnets/params.yaml" if teacher == "classifier" else "params.yaml"
    values = YAML_12.load(PROJECT / base)
    values["distill"] |= {"method": method, "weights": DISTILL["weights"]}
    values["distill"]["terms"]["ssim"] = False
    if method == "masks":
        values["prepare"]["masks"] = "auto"  # FitNets' file has none
    if teacher == "unet3plus, binary":
        values["teacher"] |= {"target": "binary", "loss": "ce"}
    if method == "combined" and teacher in NEEDED:
        values["distill"]["weights"] = DISTILL["weights"] | NEEDED[teacher]
    if TABLE[method][teacher]:
        Params.model_validate(values)
    else:
        assert ASKED[method] in ("maps", "scores")
        with pytest.raises(ValueError, match=rf"{method} needs"):
            Params.model_validate(values)
