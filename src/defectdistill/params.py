"""Read and validate `params.yaml`; an error names every key at fault.

Read with YAML 1.2 (ruamel.yaml): DVC writes 1e-5 as `1e-05`, which YAML 1.1 readers take for a string.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError, model_validator
from ruamel.yaml import YAML, YAMLError

from defectdistill import distill_sections, ingest_sections, model_sections, sections
from defectdistill.data.tables import flatten

PARAMS = "params.yaml"
NETWORKS, TASKS = ("unet3plus", "resunet", "classifier"), ("classification", "segmentation")
SOURCES = get_args(ingest_sections.Ingest.model_fields["source"].annotation)
RUNS_IN = {  # task of students: the pipelines whose stages bring it to its end
    "classification": "the root's dvc.yaml, pipelines/fitnets and pipelines/rkd_sarsn",
    "segmentation": "pipelines/cwd (make repro-cwd)",
}


class ParamsError(ValueError):
    """params.yaml is not usable; the message lists every key at fault, what it holds and what was expected."""


class Params(sections.Section):
    """All of params.yaml."""

    ingest: ingest_sections.Ingest
    prepare: sections.Prepare
    augment: sections.Augment
    teacher: model_sections.Teacher
    freeze: distill_sections.Freeze
    student: model_sections.Student
    distill: distill_sections.Distill
    evaluate: sections.Evaluate
    export: sections.Export
    tracking: sections.Tracking
    registry: sections.Registry
    compute: sections.Compute

    @model_validator(mode="after")
    def distils_what_is_stored(self) -> "Params":
        """Distilling reads levels that were kept."""
        missing = sorted(set(self.distill.levels) - set(self.freeze.levels))
        if missing:
            raise ValueError(
                f"distill.levels names {missing}, which freeze.levels = {self.freeze.levels} does not keep"
            )
        if self.distill.hint_epochs and self.distill.hint_level not in self.freeze.levels:
            raise ValueError(
                f"distill.hint_level = {self.distill.hint_level}, which freeze.levels = {self.freeze.levels} does not "
                "keep"
            )
        return self

    @model_validator(mode="after")
    def distils_what_the_teacher_knows(self) -> "Params":
        """A method asks only for what the teacher says."""
        says = self.teacher.says(self.freeze.class_maps)
        for part in sorted(self.distill.parts()):
            asked = distill_sections.ASKED.get(part)
            if asked is None or asked in says:
                continue
            if asked in self.teacher.says(class_maps=True):
                method = self.distill.method
                raise ValueError(
                    f"distill.method = {method} needs the teacher's class maps: set freeze.class_maps: true"
                )
            if self.teacher.network == "unet3plus":
                raise ValueError(
                    f"{part} needs a teacher that tells classes apart: set teacher.target: classes, or "
                    f"distill.weights.{part}: 0"
                )
            raise ValueError(
                f"distill.method = {part} needs class maps, and a teacher that is a classifier has none: choose "
                f"{', '.join(name for name, part_asks in distill_sections.ASKED.items() if part_asks in says)}, or "
                "teacher.network: unet3plus"
            )
        return self

    @model_validator(mode="after")
    def has_masks_to_learn_from(self) -> "Params":
        """A segmentation network learns from masks, and so does the method of that name."""
        if self.prepare.masks == "none" and self.teacher.network != "classifier":
            raise ValueError(
                f"teacher.network = {self.teacher.network} learns from masks, and prepare.masks is none: choose "
                "teacher.network: classifier, or another prepare.masks"
            )
        if self.prepare.masks == "none" and self.distill.method == "masks":
            raise ValueError(
                "distill.method = masks learns from masks, and prepare.masks is none: choose another method, or "
                "another prepare.masks"
            )
        if self.prepare.masks == "none" and self.student.task == "segmentation":
            raise ValueError("student.task = segmentation learns from masks: choose another prepare.masks than none")
        return self

    @model_validator(mode="after")
    def teaches_what_the_student_can_learn(self) -> "Params":
        """Some ways of teaching are a classifier's."""
        if self.student.task == "segmentation" and self.distill.method == "masks":
            raise ValueError(
                "distill.method = masks: a student that segments learns from the masks by its own loss; choose none"
            )
        if self.student.task == "segmentation" and self.distill.hint_epochs:
            raise ValueError(
                f"distill.hint_epochs = {self.distill.hint_epochs}: a first stage is there for students that classify; "
                "set 0, or distill.method: hint, which a student that segments learns along with the masks"
            )
        return self

    @model_validator(mode="after")
    def has_room_for_structure(self) -> "Params":
        """SSIM compares neighbourhoods: a map of the deepest level needs at least 3 × 3 positions."""
        side = -(-self.prepare.image_size // max(self.distill.levels))
        if "feature_fusion" in self.distill.parts() and self.distill.terms.ssim and side < 3:
            raise ValueError(
                f"distill.levels names stride {max(self.distill.levels)}, where images of prepare.image_size = "
                f"{self.prepare.image_size} have maps of {side} × {side}: SSIM needs 3 × 3; use larger images, "
                "shallower levels, or distill.terms.ssim: false"
            )
        return self

    def require_task(self, finished: Sequence[str]) -> None:
        """Raise ParamsError where the students' task is not among those that a pipeline's stages can finish, or the
        teacher has no masks to compare with those of students that segment."""
        task = self.student.task
        if task not in finished:
            raise ParamsError(
                f"student.task = {task}: this pipeline can only finish {' or '.join(finished)}; {task} runs in "
                f"{RUNS_IN[task]}"
            )
        if task == "segmentation" and not {"maps", "scores"} <= self.teacher.says(class_maps=True):
            raise ParamsError(
                f"teacher.network = {self.teacher.network} as it is set: this pipeline compares the teacher's masks of "
                "each class with the student's: choose unet3plus with teacher.target: classes, or resunet"
            )

    def flat(self, *names: str) -> dict[str, Any]:
        """Return {full key name: value} of the named sections, of all without a name."""
        values = self.model_dump()
        return flatten({name: values[name] for name in names or values})

    def in_use(self) -> dict[str, Any]:
        """Return {full key name: value} of all that a score depends on: no other source, nothing that comes later."""
        sources = (f"ingest.{name}." for name in SOURCES if name != self.ingest.source)
        others = ("export.", "tracking.", "registry.", *sources)
        return {name: value for name, value in self.flat().items() if not name.startswith(others)}


def load_params(path: str | Path = PARAMS) -> Params:
    """Read and validate params.yaml; raises ParamsError that names every key at fault, or the file that is missing."""
    if not Path(path).is_file():
        raise ParamsError(f"{Path(path).absolute()} is missing: run this in the project's folder")
    try:
        values = YAML(typ="safe", pure=True).load(Path(path))
    except YAMLError as error:
        raise ParamsError(f"{path} is no valid YAML: {error}") from error
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        lines = [describe(problem) for problem in error.errors()]
        raise ParamsError(f"{path} has {len(lines)} problem(s):\n" + "\n".join(f"  {line}" for line in lines)) from None


def describe(problem: dict[str, Any]) -> str:
    """Put one of pydantic's errors in a line: the key's full name, what it holds, what was expected."""
    key = ".".join(str(part) for part in problem["loc"] if part not in (*NETWORKS, *TASKS))
    if problem["type"].startswith("union_tag"):
        name = problem["ctx"]["discriminator"].strip("'")
        found = problem["input"].get(name) if isinstance(problem["input"], dict) else problem["input"]
        return f"{key}.{name} = {found!r}: expected one of {', '.join(TASKS if name == 'task' else NETWORKS)}"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, all_keys(Params), n=1)
        return f"{key}: unknown key" + (f"; did you mean {near[0]}?" if near else "; take it out")
    if problem["type"] == "missing":
        return f"{key}: missing; every key must stand in the file (see the params.yaml that came with the project)"
    if problem["type"] == "value_error":
        return f"{key + ': ' if key else ''}{problem['ctx']['error']}"
    return f"{key} = {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def all_keys(section: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the full names of all keys under a section, inner nodes too."""
    keys = []
    for name, field in section.model_fields.items():
        keys.append(prefix + name)
        for inner in get_args(field.annotation) or (field.annotation,):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                keys.extend(all_keys(inner, f"{prefix}{name}."))
    return keys
