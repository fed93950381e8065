import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from defectdistill.data.tables import flatten
from defectdistill.params import TASKS, ParamsError, load_params

SHIPPED = Path(__file__).parents[1] / "params.yaml"


def changed(tmp_path, **changes):
    """Write the shipped params.yaml with some keys (a__b for a.b) changed, or taken out (None is written as ...)."""
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load(SHIPPED)
    for name, value in changes.items():
        *sections, key = name.split("__")
        section = values
        for part in sections:
            section = section[part]
        if value is ...:
            del section[key]
        else:
            section[key] = value
    yaml.dump(values, tmp_path / "params.yaml")
    return tmp_path / "params.yaml"


def test_the_shipped_file_is_valid():
    params = load_params(SHIPPED)
    assert params.distill.beta == 0.5
    assert params.flat("tracking") == {"tracking.required": False}
    assert set(params.flat()) == set(flatten(YAML(typ="safe", pure=True).load(SHIPPED)))


WHOLE = [path for path in SHIPPED.parent.glob("pipelines/*/params.yaml") if "\ningest:" in path.read_text()]


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.parent.name)
def test_pipelines_with_parameters_of_their_own_have_valid_ones(path):
    assert load_params(path).in_use()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distill__beta": "abc"}, r"distill\.beta = 'abc': input should be a valid number"),
        ({"distill__beta": -0.1}, r"distill\.beta = -0\.1: input should be greater than or equal to 0"),
        ({"distill__beta": True}, r"distill\.beta = True"),
        ({"student__min_steps": "lots"}, r"student\.min_steps = 'lots': expected auto, or a whole number from 0 on$"),
        ({"student__min_steps": -1}, r"student\.min_steps = -1: expected auto"),
        ({"student__min_steps": True}, r"student\.min_steps = True: expected auto"),
        ({"distill__bta": 0.1}, r"distill\.bta: unknown key; did you mean distill\.beta\?"),
        ({"zzz": 1}, "zzz: unknown key; take it out"),
        ({"teacher__lr": "1e-3 "}, r"teacher\.lr = '1e-3 '"),
        ({"teacher__lr": ...}, r"teacher\.lr: missing"),
        ({"augment": ...}, "augment: missing"),
        ({"augment__copies": 1.5}, r"augment\.copies = 1\.5"),
        ({"augment__hue": 0.6}, r"augment\.hue = 0\.6"),
        ({"prepare__image_size": 100}, r"prepare\.image_size = 100: .*multiple of 16"),
        ({"prepare__val_fraction": 0.9}, r"prepare: val_fraction \+ test_fraction must stay below 1"),
        ({"prepare__folds": 2}, r"prepare: folds = 2: expected 0 \(no cross-validation\) or at least 3"),
        ({"prepare__folds": 5, "prepare__fold": 5}, r"prepare: fold = 5 of folds = 5: expected 0 to 4"),
        ({"prepare__fold": 1}, r"prepare: fold = 1 of folds = 0: expected 0 to 0"),
        ({"prepare__masks": "guess"}, r"prepare\.masks = 'guess': .*'given_else_threshold'"),
        ({"teacher__batch_size": 1}, r"teacher\.batch_size = 1: .*greater than or equal to 2"),
        ({"teacher__weights": "imagenet"}, "teacher: encoder plain has no ImageNet weights"),
        ({"student__warmup": 20}, r"student: warmup = .* must be smaller than epochs"),
        ({"student__lr": float("inf")}, r"student\.lr = inf: .*finite"),
        ({"student__min_lr": 0.01}, r"student: min_lr = 0\.01 must not be larger than lr"),
        ({"prepare__image_size": 32}, r"stride 16, where images of .* = 32 have maps of 2 × 2: SSIM needs 3 × 3"),
        ({"distill__terms": {"mse": False, "cosine": False, "ssim": False}}, "every one of distill.terms is off"),
        ({"distill__levels": [8, 12]}, r"distill\.levels\.1 = 12"),
        ({"distill__levels": []}, r"distill\.levels = \[\]"),
        ({"distill__levels": [4, 8]}, r"distill\.levels names \[4\], which freeze\.levels = \[8, 16\] does not keep"),
        ({"distill__method": "magic"}, r"distill\.method = 'magic'"),
        ({"distill__weights": dict.fromkeys(("feature_fusion", "class_map", "soft_targets"), 0.0)}, "is 0: nothing"),
        ({"freeze__class_maps": False}, "combined needs the teacher's class maps: set freeze.class_maps: true"),
        ({"teacher__target": "binary"}, "loss ce_dice_image asks for an image's class"),
        ({"prepare__protocol": "after_augmentation", "prepare__mask_limit": 5}, "after_augmentation divides copies"),
        (
            {"prepare__protocol": "given", "prepare__folds": 5},
            "folds = 5 with protocol given, which has a test split of",
        ),
        ({"teacher__network": "vgg"}, r"teacher\.network = 'vgg': expected one of unet3plus, resunet, classifier"),
        ({"teacher__network": ...}, r"teacher\.network = None: expected one of unet3plus, resunet, classifier"),
        ({"student__task": "guess"}, r"student\.task = 'guess': expected one of classification, segmentation"),
        ({"student__task": ...}, r"student\.task = None: expected one of classification, segmentation"),
        ({"student__task": "segmentation"}, r"student\.encoder: missing"),
        ({"prepare__masks": "none"}, "teacher.network = unet3plus learns from masks, and prepare.masks is none"),
        (
            {"distill__hint_epochs": 2, "distill__hint_level": 4},
            r"distill.hint_level = 4, which freeze.levels = \[8, 16\]",
        ),
        ({"teacher__target": "binary", "teacher__loss": "ce"}, "soft_targets needs a teacher that tells classes apart"),
        ({"compute__precision": "fp16"}, r"compute\.precision = 'fp16'"),
        ({"ingest__source": "web"}, r"ingest\.source = 'web'"),
        ({"registry__metric": "test/loss"}, r"registry\.metric = 'test/loss': .*macro_f1"),
        ({"registry__metric": "unlabelled/average_entropy"}, r"registry\.metric = "),
        ({"registry__min_gain": -0.1}, r"registry\.min_gain = -0\.1"),
        ({"registry__min_gain": 1.0}, r"registry\.min_gain = 1\.0"),
        ({"registry__name": "a/b"}, r"registry\.name = 'a/b'"),
    ],
)
def test_a_bad_value_is_refused_by_its_full_name(tmp_path, change, message):
    with pytest.raises(ParamsError, match=message):
        load_params(changed(tmp_path, **change))


def test_all_problems_are_listed_at_once(tmp_path):
    path = changed(tmp_path, distill__beta="x", augment__copies=-1, teacher__width=0)
    with pytest.raises(ParamsError, match="3 problem") as caught:
        load_params(path)
    assert all(name in str(caught.value) for name in ("distill.beta", "augment.copies", "teacher.width"))


def test_numbers_are_read_as_dvc_writes_them(tmp_path):
    text = SHIPPED.read_text().replace("lr: 0.002", "lr: 1e-05")
    (tmp_path / "params.yaml").write_text(text)
    assert load_params(tmp_path / "params.yaml").teacher.lr == 1e-5


@pytest.mark.parametrize("text", ["a: [", "just words", "", "- 1"])
def test_what_is_no_mapping_is_an_error_of_its_own(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError):
        load_params(tmp_path / "params.yaml")


def test_settings_of_the_registry_are_not_in_use():
    """They stand in no stage's dependencies, so they must not stand in evaluate's report either."""
    assert "registry.metric" in load_params(SHIPPED).flat()
    assert not any(name.startswith("registry.") for name in load_params(SHIPPED).in_use())


def test_settings_of_other_sources_are_not_in_use(tmp_path):
    synthetic = load_params(SHIPPED).in_use()
    assert "ingest.synthetic.seed" in synthetic
    assert not any(name.startswith("ingest.folder.") for name in synthetic)
    folder = load_params(changed(tmp_path, ingest__source="folder")).in_use()
    assert "ingest.folder.groups" in folder
    assert "ingest.synthetic.seed" not in folder


SEGMENTER = {
    "task": "segmentation", "encoder": "tu-convnext_atto", "global_context": False, "feature_fusion": False,
    "weights": "none", "lr": 0.001, "min_lr": 0.0, "warmup": 0, "weight_decay": 0.0, "batch_size": 4, "epochs": 2,
    "min_steps": 0, "patience": 2, "seed": 0, "dihedral": False,
}  # fmt: skip


def test_a_student_that_segments_has_other_keys(tmp_path):
    params = load_params(changed(tmp_path, student=SEGMENTER, distill__method="channelwise"))
    assert params.flat()["student.encoder"] == "tu-convnext_atto"
    teacher = {key: value for key, value in SEGMENTER.items() if key not in ("task", "dihedral")} | {
        "network": "resunet"
    }
    params = load_params(changed(tmp_path, student=SEGMENTER, teacher=teacher, distill__method="combined"))
    assert params.teacher.says(class_maps=True) == {"features", "maps", "scores"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distill__method": "masks"}, "distill.method = masks: a student that segments learns from the masks by its"),
        ({"distill__hint_epochs": 2, "distill__hint_level": 8}, "distill.hint_epochs = 2: a first stage is there for"),
        ({"student": SEGMENTER | {"encoder": "plain"}}, r"student: encoder plain is U-Net3\+'s"),
        ({"student": SEGMENTER | {"arch": "resnet18"}}, r"student\.arch: unknown key"),
        ({"student": SEGMENTER | {"warmup": 2}}, r"student: warmup = 2\.0 must be smaller than epochs = 2"),
    ],
)
def test_what_a_student_that_segments_cannot_do_is_named(tmp_path, change, message):
    with pytest.raises(ParamsError, match=message):
        load_params(changed(tmp_path, **{"student": SEGMENTER, "distill__method": "channelwise"} | change))


def test_a_student_that_segments_and_a_classifier_need_masks_between_them(tmp_path):
    given = {"student": SEGMENTER, "teacher": CLASSIFIER, "distill__method": "hint", "prepare__masks": "none"}
    with pytest.raises(ParamsError, match=r"student\.task = segmentation learns from masks"):
        load_params(changed(tmp_path, **given))


CLASSIFIER = {
    "network": "classifier", "arch": "resnet18", "weights": "none", "lr": 0.001, "min_lr": 0.0, "warmup": 0,
    "weight_decay": 0.0, "label_smoothing": 0.0, "class_weights": "none", "batch_size": 4, "epochs": 2,
    "min_steps": 0, "patience": 2, "seed": 0,
}  # fmt: skip


def of_a_classifier(folder, **changes):
    return changed(folder, **{"teacher": CLASSIFIER} | changes)


@pytest.mark.parametrize("method", ["feature_fusion", "hint", "relational", "soft_targets", "none"])
def test_a_classifier_may_teach_what_needs_no_map(tmp_path, method):
    params = load_params(of_a_classifier(tmp_path, distill__method=method, prepare__masks="none"))
    assert params.teacher.arch == "resnet18"
    assert params.flat()["teacher.network"] == "classifier"


def test_the_method_masks_needs_masks(tmp_path):
    assert load_params(of_a_classifier(tmp_path, distill__method="masks")).distill.parts() == {"masks"}
    with pytest.raises(ParamsError, match=r"distill\.method = masks learns from masks, and prepare\.masks is none"):
        load_params(of_a_classifier(tmp_path, distill__method="masks", prepare__masks="none"))


@pytest.mark.parametrize("method", ["class_map", "channelwise", "combined"])
def test_a_classifier_has_no_map_to_teach(tmp_path, method):
    with pytest.raises(
        ParamsError, match=r"needs class maps, and a teacher that is a classifier has none: choose feat"
    ):
        load_params(of_a_classifier(tmp_path, distill__method=method))


def test_a_key_of_the_other_kind_of_teacher_is_unknown(tmp_path):
    with pytest.raises(ParamsError, match=r"teacher\.width: unknown key"):
        load_params(of_a_classifier(tmp_path, teacher=CLASSIFIER | {"width": 4}, distill__method="hint"))


@pytest.mark.parametrize("path", [SHIPPED, *WHOLE], ids=lambda path: path.parent.name)
def test_a_pipeline_can_finish_the_task_of_its_students_and_refuses_any_other(path, tmp_path):
    stages = YAML(typ="safe", pure=True).load(path.with_name("dvc.yaml"))["stages"]
    finished = stages["check"]["cmd"].split("check.py")[1].split() or ["classification"]
    params = load_params(path)
    params.require_task(finished)
    (other,) = set(TASKS) - set(finished)
    params = params.model_copy(update={"student": params.student.model_copy(update={"task": other})})
    with pytest.raises(ParamsError, match=rf"student\.task = {other}: this pipeline .* {other} runs in .*pipelines/"):
        params.require_task(finished)


def test_a_pipeline_that_compares_masks_needs_a_teacher_that_marks_each_class(tmp_path):
    def params_with(teacher):
        return load_params(changed(tmp_path, student=SEGMENTER, teacher=teacher, distill__method="hint"))

    unet3plus = load_params(SHIPPED).teacher.model_dump()
    resunet = {key: value for key, value in SEGMENTER.items() if key not in ("task", "dihedral")}
    for fitting in (unet3plus, resunet | {"network": "resunet"}):
        params_with(fitting).require_task(["segmentation"])
    for unfit in (CLASSIFIER, unet3plus | {"target": "binary", "loss": "ce"}):
        message = rf"teacher\.network = {unfit['network']}.*masks of each class.*: choose .*resunet"
        with pytest.raises(ParamsError, match=message):
            params_with(unfit).require_task(["segmentation"])


def test_the_stage_check_refuses_an_encoder_that_several_processes_would_change(tmp_path):
    changed(tmp_path, teacher__encoder="timm-efficientnet-b0", compute__devices=2)
    command = [sys.executable, SHIPPED.parent / "stages/check.py"]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert refused.stderr.startswith(
        "check: teacher.encoder = 'timm-efficientnet-b0': its batch norms (BatchNormAct2d) cannot be taken over several"
    )
    changed(tmp_path, teacher__encoder="efficientnet-b0", compute__devices=2)
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_the_stage_check_refuses_such_a_task_before_anything_is_trained(tmp_path):
    shutil.copy(SHIPPED.parent / "pipelines/cwd/params.yaml", tmp_path)
    command = [sys.executable, SHIPPED.parent / "stages/check.py"]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert refused.stderr.startswith(
        "check: student.task = segmentation: this pipeline can only finish classification;"
    )
    assert not (tmp_path / "data").exists()
    subprocess.run([*command, "segmentation"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "data/checked.txt").exists()
