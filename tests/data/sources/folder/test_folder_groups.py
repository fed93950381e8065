import pytest

from defectdistill.data.errors import DataError


def table(tree, text, name="groups.csv"):
    tree("a/1.png", "a/2.png", "b/3.png")
    (tree.root / name).write_text(text, encoding="utf-8")


def groups(found):
    return [found[name].group for name in ("a/1.png", "a/2.png", "b/3.png")]


@pytest.mark.parametrize(
    "text",
    [
        "image,group\na/1.png,x\na/2.png,y\nb/3.png,x\n",
        "image,mask,class,tile\na/1.png,,a,x\na/2.png,,a,y\nb/3.png,,b,x\n",
        "Object;Image\nx;a/1.png\ny;a\\2.png\nx;./b/3.png\n",
        "\ufefffilename\tpart\n1.png\tx\n2.png\ty\n3.png\tx\n",
        "image,group\na/1.png,x\na/1.png,x\na/2.png,y\nb/3.png, x \n",
    ],
)
def test_groups_are_read(tree, text):
    table(tree, text)
    assert groups(tree(groups="groups.csv")[0]) == ["x", "y", "x"]


def test_the_group_column_can_be_named(tree):
    table(tree, "image,group,Coil\na/1.png,x,7\na/2.png,y,7\nb/3.png,x,8\n")
    assert groups(tree(groups="groups.csv", group_column="coil")[0]) == ["7", "7", "8"]


def test_an_image_without_a_row_is_its_own_group_with_a_warning(tree, capsys):
    table(tree, "image,group\na/1.png,x\na/2.png,\n")
    found, _ = tree(groups="groups.csv")
    assert "WARNING: 2 images have no group in groups.csv, first a/2.png" in capsys.readouterr().err
    assert groups(found) == ["x", None, None]


def test_a_row_without_an_image_is_listed(tree):
    table(tree, "image,group\na/1.png,x\na/2.png,y\nb/3.png,x\na/gone.png,z\n")
    assert tree(groups="groups.csv")[1] == {"a/gone.png": "row 5 of groups.csv: no such image"}


@pytest.mark.parametrize(
    ("text", "settings", "complaint"),
    [
        ("image,group\na/1.png,x\na/1.png,y\n", {}, r"a/1.png into the groups 'x' and 'y'"),
        (
            "image,class\na/1.png,x\n",
            {},
            r"columns image, class; none of group, object, tile.*ingest\.folder\.group_column",
        ),
        ("picture,group\na/1.png,x\n", {}, "none of image, name"),
        ("image,group\na/1.png,x\n", {"group_column": "coil"}, "none of coil"),
        ("image,group\nz/1.png,x\n", {}, "no row of groups.csv"),
        ("image,group\na/1.png,x\n2.png,y\n", {}, "row 3 of groups.csv: several images are called 2.png"),
        ("", {}, r"the columns \(none\)"),
        ("image,group\n", {}, "no row of groups.csv"),
        ("", {"groups": "missing.csv"}, r"there is no .*missing\.csv; give the name"),
    ],
)
def test_a_group_table_that_cannot_be_used(tree, text, settings, complaint):
    table(tree, text)
    tree("b/2.png")
    with pytest.raises(DataError, match=complaint):
        tree(**{"groups": "groups.csv"} | settings)


def test_the_copy_that_stays_has_the_group_of_the_one_that_is_left_out(tree):
    """Which of them the table names is chance: without its group it could come to another side than the object."""
    table(tree, "image,group\na/1.png,x\na/2.png,x\nb/3.png,y\n")
    (tree.root / "a/0 copy.png").write_bytes((tree.root / "a/1.png").read_bytes())
    found, rejected = tree(groups="groups.csv")
    assert rejected == {"a/1.png": "same bytes as a/0 copy.png, which is kept"}
    assert {name: sample.group for name, sample in found.items()} == {
        "a/0 copy.png": "x", "a/2.png": "x", "b/3.png": "y",
    }  # fmt: skip


@pytest.mark.parametrize("place", ["a", "b"])
def test_groups_that_share_a_photograph_are_one(tree, place):
    """Under one class one of the copies stays; under two none does, and the others still show one object."""
    table(tree, f"image,group\na/1.png,x\na/2.png,x\nb/3.png,y\n{place}/copy.png,y\n")
    (tree.root / place / "copy.png").write_bytes((tree.root / "a/1.png").read_bytes())
    found, _ = tree(groups="groups.csv")
    assert {sample.group for sample in found.values()} == {"x"}
    assert {"a/2.png", "b/3.png"} <= set(found)


def test_a_table_joins_what_the_names_say_and_does_not_part_it(tree):
    first, second = "a/IMG_3_jpg.rf.0123456789abcdef.jpg", "a/IMG_3_jpg.rf.ba98765432100000.jpg"
    tree(first, second, "a/4.png", "b/5.png")
    (tree.root / "groups.csv").write_text(f"image,group\n{first},tile\na/4.png,tile\n")
    found, _ = tree(groups="groups.csv")
    assert found[first].group == found[second].group == found["a/4.png"].group
    assert found["b/5.png"].group is None
