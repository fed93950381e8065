import torch

from defectdistill.models.students import build_student, taps_of
from defectdistill.models.trunk import tensors_of, trunk_of


def test_the_trunk_is_what_runs_until_the_level_is_there():
    student = build_student("small_cnn_3", 2)
    tap = taps_of(student, [2])[2]
    names = trunk_of(student.network, tap)
    assert [name for name in names if name != "pool"] == [f"stage{n}.{k}" for n in (1, 2) for k in range(6)]
    tensors = tensors_of(student.network, names)
    assert {name.split(".")[0] for name in tensors} == {"stage1", "stage2"}
    assert "stage2.4.running_mean" in tensors


def test_nothing_behind_the_level_changes_it_and_everything_in_it_does():
    student = build_student("resnet18", 2).eval()
    tap = taps_of(student, [8])[8]
    tensors = tensors_of(student.network, trunk_of(student.network, tap))
    x = torch.randn(1, 3, 64, 64)
    before = student.forward_with_features(x, {8: tap})[1][8].detach()
    for name, parameter in student.network.named_parameters():
        kept = parameter.detach().clone()
        with torch.no_grad():
            parameter += 0.5
            after = student.forward_with_features(x, {8: tap})[1][8]
            parameter.copy_(kept)
        assert torch.equal(before, after) == (name not in tensors), name


def test_what_a_block_holds_beside_its_layers_belongs_to_it():
    student = build_student("convnext_tiny", 2)
    tap = taps_of(student, [8])[8]
    tensors = tensors_of(student.network, trunk_of(student.network, tap))
    scales = {name for name in student.network.state_dict() if name.endswith("layer_scale")}
    assert scales & tensors == {name for name in scales if int(name.split(".")[1]) <= int(tap.module.split(".")[1])}
    assert scales - tensors


def test_the_probe_leaves_no_trace():
    student = build_student("resnet18", 2).train()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    trunk_of(student.network, taps_of(student, [16])[16])
    assert all(module.training for module in student.modules())
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
