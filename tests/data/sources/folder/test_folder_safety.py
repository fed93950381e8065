"""A folder from somebody else: nothing outside of it is read, nothing in it is unpacked or waited for."""

import os

import pytest

from defectdistill.data.errors import DataError
from defectdistill.data.sources.folder.names import ARCHIVES
from defectdistill.data.sources.folder.source import samples

ON_LINUX = pytest.mark.skipif(os.name != "posix" or os.uname().sysname != "Linux", reason="others refuse such names")


def write(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_the_folder_itself_may_be_a_link(tree, tmp_path_factory):
    tree("a/1.png", "b/2.png")
    link = tmp_path_factory.mktemp("link") / "photographs"
    link.symlink_to(tree.root)
    assert [item.name for item in samples(link)] == ["a/1.png", "b/2.png"]


@pytest.mark.parametrize("target", ["/etc/hostname", "../../outside/secret.png", "../b/../../outside/secret.png"])
def test_a_link_to_a_file_outside_is_left_out(tree, target):
    write(tree.root.parent / "outside/secret.png", b"secret")
    tree("a/1.png", "b/2.png")
    (tree.root / "a/link.png").symlink_to(target)
    assert (tree.root / "a/link.png").exists()
    found, rejected = tree()
    assert set(found) == {"a/1.png", "b/2.png"}
    assert "leads out of the folder" in rejected["a/link.png"]


def test_a_mask_that_is_a_link_outwards_is_not_read(tree):
    outside = tree.root.parent / "outside/secret.png"
    write(outside, b"secret")
    (tree.root / "masks/a").mkdir(parents=True)
    (tree.root / "masks/a/1.png").symlink_to(outside)
    found, rejected = tree("images/a/1.png", "images/b/2.png")
    assert found["images/a/1.png"].mask is None
    assert "leads out of the folder" in rejected["masks/a/1.png"]


@pytest.mark.parametrize("name", ["../groups.csv", "/etc/hostname", "a/../../groups.csv", "link.csv"])
def test_a_group_table_outside_of_the_folder_is_refused(tree, name):
    tree("a/1.png", "b/2.png")
    write(tree.root.parent / "groups.csv", b"image,group\na/1.png,x\nb/2.png,y\n")
    (tree.root / "link.csv").symlink_to(tree.root.parent / "groups.csv")
    with pytest.raises(DataError, match=r"ingest.folder.groups: .* leads out of .*; put the CSV file into that folder"):
        tree(groups=name)


@pytest.mark.parametrize("cell", ["../../etc/hostname", "/etc/hostname", "..\\..\\secret.png", "a/../a/1.png"])
def test_a_row_of_the_group_table_reads_nothing(tree, cell):
    tree("a/1.png", "b/2.png")
    (tree.root / "groups.csv").write_text(f"image,group\na/1.png,x\nb/2.png,y\n{cell},z\n")
    found, rejected = tree(groups="groups.csv")
    assert set(found) == {"a/1.png", "b/2.png"}
    assert rejected == {cell: "row 4 of groups.csv: no such image"}


def test_a_cell_without_end_is_refused(tree):
    tree("a/1.png", "b/2.png")
    (tree.root / "groups.csv").write_text("image,group\n" + "x" * 200_000 + ",1\n")
    with pytest.raises(DataError, match="cannot be read as a CSV file"):
        tree(groups="groups.csv")


@ON_LINUX
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"a/line\nbreak.png", "a/line\\nbreak.png"),
        (b"a/\x1b]0;title\x07.png", "a/\\x1b]0;title\\x07.png"),
        (b"fol\nder/1.png", "fol\\nder/1.png"),
        (b"fol\xffder/1.png", "fol\\udcffder/1.png"),
        (b"a/\xe2\x80\xa8.png", "a/\\u2028.png"),
    ],
)
def test_names_that_would_break_tables_or_terminals_are_refused_and_escaped(tree, name, shown):
    path = os.fsencode(tree.root) + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(b"x")
    found, rejected = tree("a/1.png", "b/2.png")
    assert set(found) == {"a/1.png", "b/2.png"}
    assert "rename it" in rejected[shown]


@ON_LINUX
def test_odd_but_honest_names_are_kept(tree):
    names = [
        "a/<img src=x onerror=alert(1)>.png",
        'a/"quoted", comma.png',
        "b/=1+1.png",
        "b/ü $x$ 照片 👩‍🔬.png",
    ]
    assert set(tree(*names)[0]) == set(names)


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_archives_are_listed_and_not_unpacked(tree, suffix):
    found, rejected = tree("a/1.png", "b/2.png", f"a/more{suffix.upper()}")
    assert set(found) == {"a/1.png", "b/2.png"}
    assert "an archive, which is not unpacked; unpack it" in rejected[f"a/more{suffix.upper()}"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_named_like_an_image_is_not_waited_for(tree):
    tree("a/1.png", "b/2.png")
    os.mkfifo(tree.root / "a/pipe.png")
    assert "no file but a pipe" in tree()[1]["a/pipe.png"]
