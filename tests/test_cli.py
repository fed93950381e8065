"""The command line itself; what each command does is tested beside its module."""

import subprocess
import sys

import pytest

HELP = """
import sys
from defectdistill.cli import main
sys.argv = ["defectdistill", *{words}]
try:
    main()
except SystemExit as ended:
    print(ended.code, sorted({{"torch", "numpy", "PIL", "mlflow", "gradio", "ray"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"], ["app", "--help"]])
def test_help_comes_at_once_nothing_large_is_imported_for_it(words):
    done = subprocess.run([sys.executable, "-c", HELP.format(words=words)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert "Usage: defectdistill" in done.stdout
