import pytest
import torch

from defectdistill.training import compute
from defectdistill.training.compute import choose_accelerator, set_up
from defectdistill.training.fit import trainer_on


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_choice_is_printed(capsys):
    machine = set_up(1, "cpu", "fp32")
    assert (machine.accelerator, machine.precision, machine.processes) == ("cpu", "fp32", 1)
    assert torch.get_num_threads() == 1
    assert capsys.readouterr().out == "computing in fp32 on cpu, 1 CPU threads\n"


def test_auto_takes_bf16_where_the_hardware_has_it(monkeypatch):
    for has, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(compute, "has_fast_bf16", lambda accelerator, has=has: has)
        assert set_up(1, "cpu", "auto").precision == expected


def test_torchrun_says_how_many_processes_there_are(monkeypatch, capsys):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    machine = set_up(1, "cpu", "fp32", devices=1, nodes=1)
    assert (machine.devices, machine.nodes, machine.processes) == (4, 2, 8)
    assert "8 processes" in capsys.readouterr().out


def test_only_the_main_process_prints(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    set_up(1, "cpu", "fp32", devices=2)
    assert capsys.readouterr().out == ""


def test_trainings_are_deterministic_without_filling_new_memory(monkeypatch):
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)  # as torch comes
    trainer_on(set_up(1, "cpu", "fp32"), 1, [])
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_an_accelerator_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"compute.accelerator = 'gpu': .*say auto"):
        choose_accelerator("gpu")
