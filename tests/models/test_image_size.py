import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import PROJECT, set_params
from torch import nn

from defectdistill.models.image_size import check_image_size
from defectdistill.models.students import build_student


def test_a_network_that_cannot_take_the_images_is_named():
    network = build_student("maxvit_t", 2)
    check_image_size(network, 224, "student.arch = 'maxvit_t'")
    message = r"student\.arch = 'maxvit_t' does not take images of 64 × 64 pixels \(prepare\.image_size\): shape .*"
    with pytest.raises(ValueError, match=message):
        check_image_size(network, 64, "student.arch = 'maxvit_t'")


def test_an_error_without_words_is_named_by_its_kind():
    class Refusing(nn.Module):
        def encode(self, images):
            raise AssertionError

    with pytest.raises(ValueError, match=r"of 32 × 32 pixels \(prepare\.image_size\): AssertionError;"):
        check_image_size(Refusing(), 32, "teacher.encoder = 'x'")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"student.arch": "maxvit_t"}, "student.arch = 'maxvit_t' does not take images of 128 × 128 pixels"),
        (
            {"freeze.levels": [1, 8, 16], "distill.hint_epochs": 2, "distill.hint_level": 1},
            "student.arch = 'resnet18' has no feature level of stride [1]: it has 2, 4, 8, 16, 32. Choose",
        ),
        (
            {"ingest.source": "folder", "ingest.path": "~/no such folder"},
            f"ingest.path = '~/no such folder': there is no such folder (`~` is not read here: write {Path.home()}/no",
        ),
        ({"ingest.source": "cifar10", "ingest.path": "/nothing"}, "ingest.path = '/nothing': there is no such folder;"),
    ],
)
def test_check_refuses_what_would_fail_in_a_training(tmp_path, changes, message):
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    set_params(tmp_path, changes)
    command = [sys.executable, PROJECT / "stages/check.py"]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert refused.stderr.startswith(f"check: {message}"), refused.stderr
    assert not (tmp_path / "data").exists()
