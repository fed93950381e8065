import pytest

from defectdistill.addresses import without_password


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://bob:secret@lab:5000/x did not answer", "http://lab:5000/x did not answer"),
        ("https://token@lab.example/x", "https://lab.example/x"),
        ("a at s3://bucket/x@y, b at ssh://bob@host/p", "a at s3://bucket/x@y, b at ssh://host/p"),
        ("http://bob:p@ss@lab/x", "http://lab/x"),
        (
            "postgresql://lab/db?user=bob&password=pw&ssl=1 failed",
            "postgresql://lab/db?user=bob&password=…&ssl=1 failed",
        ),
        ("sqlite:////home/bob@work/mlflow.db", "sqlite:////home/bob@work/mlflow.db"),
    ],
)
def test_no_address_says_who_asks(text, shown):
    assert without_password(text) == shown
