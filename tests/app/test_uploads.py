import pytest
from app_project import encoded, photograph

from defectdistill.app.limits import Limits
from defectdistill.app.session import arrived, chosen_class
from defectdistill.app.uploads import Upload, accept, read
from defectdistill.data.images import BadImage


def put(folder, data, name="a.png"):
    (folder / name).write_bytes(data)
    return Upload(name, folder / name)


def test_a_photograph_is_read_with_its_bytes(tmp_path):
    image = photograph("red_stain", 0)
    data, read_image = read(put(tmp_path, encoded(image)), Limits())
    assert data == encoded(image)
    assert (read_image == image).all()


@pytest.mark.parametrize(
    ("data", "limits", "words"),
    [
        (b"\x89PNG" + bytes(1_500_000), Limits(megabytes=1), r"1\.5 MB, more than the limit of 1 MB; make it smaller"),
        (encoded(photograph("red_stain", 0)), Limits(pixels=500), "32×32 = 1024 pixels.* make it smaller and drop"),
        (encoded(photograph("red_stain", 0))[:200], Limits(), "truncated"),
        (b"", Limits(), "zero bytes"),
        (b"Shopping list", Limits(), "not an image but text"),
    ],
)
def test_what_is_no_photograph_is_refused_with_words_for_this_page(tmp_path, data, limits, words):
    with pytest.raises(BadImage, match=words) as error:
        read(put(tmp_path, data), limits)
    assert "ingest" not in error.value.reason


def test_an_upload_that_was_cleared_away_is_asked_for_again(tmp_path):
    with pytest.raises(BadImage, match="drop it again"):
        read(Upload("a.png", tmp_path / "a.png"), Limits())


@pytest.mark.parametrize("limits", [{"megabytes": 0}, {"pixels": 0}, {"pixels": 10**9}])
def test_limits_that_cannot_be_kept_are_refused(limits):
    with pytest.raises(ValueError, match="expected"):
        Limits(**limits)


def test_no_file_but_an_upload_is_taken(tmp_path):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    secret, inside = put(tmp_path, b"secret", "secret.png").path, put(uploads, b"x").path
    (uploads / "link.png").symlink_to(secret)
    assert accept("a", str(inside), uploads).path == inside.resolve()
    for path in (secret, uploads / "../secret.png", uploads / "link.png", uploads, "", "/etc/hostname", "\0"):
        with pytest.raises(ValueError, match="not a file that was uploaded here"):
            accept("a", str(path), uploads)


def test_what_arrives_is_limited_and_each_refusal_has_a_reason(tmp_path):
    path = str(put(tmp_path, b"x").path)
    sent = [{"name": "big.tif", "size": 99_000_000}, {"name": "lost.png", "reason": "did not arrive"}]
    sent += [{"name": f"{number}.png", "path": path} for number in range(3)] + [{"path": "/etc/passwd"}]
    found = arrived(sent, tmp_path, Limits(photographs=2))
    assert [type(entry).__name__ for entry in found] == ["Refused", "Refused", "Upload", "Upload", "Refused", "Refused"]
    assert [entry.reason for entry in found if not isinstance(entry, Upload)] == [
        "99.0 MB, more than the limit of 50 MB; make it smaller and drop it again",
        "did not arrive",
        "too many at once",
        "too many at once",
    ]


def test_a_choice_is_a_class_a_new_one_or_nobody_knows():
    assert chosen_class("class:other", "") == "other"
    assert chosen_class("other", "Rust") == "Rust"
    assert chosen_class("unknown", "Rust") is None
    with pytest.raises(ValueError, match="first choose"):
        chosen_class("", "")
