from demo_photographs import write

from defectdistill.data.images import decode_image


def test_the_demo_draws_each_class_and_other_light_in_two_kinds_of_file(tmp_path):
    assert write(tmp_path, each=2) == 8
    files = sorted(tmp_path.rglob("*.*"))
    assert [path.suffix for path in files] == [".png", ".jpg"] * 4
    assert len({path.parent.name for path in files}) == 4
    assert {decode_image(path.read_bytes()).shape for path in files} == {(256, 256, 3), (280, 360, 3)}
