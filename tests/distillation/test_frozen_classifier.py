import pytest
import torch

from defectdistill import checkpoint
from defectdistill.distillation.frozen import freeze_any, load_any
from defectdistill.distillation.frozen_classifier import FrozenClassifier
from defectdistill.distillation.frozen_unet3plus import FrozenUNet3Plus
from defectdistill.models.students import build_student, classifier_config, taps_of
from defectdistill.models.unet3plus import UNet3Plus, unet3plus_config


@pytest.fixture
def trained(tmp_path):
    torch.manual_seed(0)
    student = build_student("small_cnn_4", 3)
    for _ in range(3):  # batch norm has seen something
        student(torch.randn(8, 3, 32, 32))
    checkpoint.save(tmp_path, student.state_dict(), classifier_config("small_cnn_4", ["a", "b", "c"], 32, "squash"))
    return tmp_path, student.eval()


def test_it_says_what_the_trained_network_says(trained):
    folder, student = trained
    frozen = freeze_any(folder, [4, 2], class_maps=True)
    assert isinstance(frozen, FrozenClassifier)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        logits, features = student.forward_with_features(x, taps_of(student, [2, 4]))
    answer = frozen(x)
    torch.testing.assert_close(answer.scores, logits)
    assert list(answer.features) == [2, 4]
    assert all(torch.equal(answer.features[stride], features[stride]) for stride in (2, 4))
    assert answer.maps == {}
    assert (frozen.says, frozen.channels) == ({"features", "scores"}, 3)


def test_training_around_it_leaves_every_bit_of_it(trained):
    frozen = freeze_any(trained[0], [4], class_maps=False)
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    head = torch.nn.Conv2d(16, 1, 1)
    both = torch.nn.ModuleDict({"teacher": frozen, "head": head}).train()
    optimiser = torch.optim.SGD(both.parameters(), lr=1.0)
    for _ in range(2):
        optimiser.zero_grad()
        head(frozen(torch.randn(4, 3, 32, 32)).features[4]).square().sum().backward()
        optimiser.step()
    assert not frozen.training
    assert all(torch.equal(value, before[name]) for name, value in frozen.state_dict().items())


def test_saved_and_loaded_it_says_the_same(trained, tmp_path):
    frozen, x = freeze_any(trained[0], [2], class_maps=False), torch.randn(2, 3, 32, 32)
    frozen.save(tmp_path / "frozen")
    again = load_any(tmp_path / "frozen")
    assert torch.equal(again(x).scores, frozen(x).scores)
    assert not [parameter for parameter in again.parameters() if parameter.requires_grad]


def test_the_kind_of_a_teacher_is_known_by_its_folder(tmp_path):
    network = UNet3Plus(out_channels=2, width=2)
    checkpoint.save(tmp_path / "t", network.state_dict(), unet3plus_config("plain", 2, ["a", "b"], 32, "squash"))
    frozen = freeze_any(tmp_path / "t", [4, 8], class_maps=True)
    assert isinstance(frozen, FrozenUNet3Plus)
    assert frozen.says == {"features", "maps", "scores"}
    frozen.save(tmp_path / "f")
    assert isinstance(load_any(tmp_path / "f"), FrozenUNet3Plus)
    assert freeze_any(tmp_path / "t", [4], class_maps=False).says == {"features"}


def test_a_stride_that_it_lacks_is_named(trained):
    with pytest.raises(ValueError, match=r"no feature level of stride \[8\]: it has 1, 2, 4"):
        freeze_any(trained[0], [8], class_maps=False)
