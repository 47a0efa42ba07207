import pytest

from architect.supervisor.broker_folder import discard_unreadable


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "control").mkdir()
    return tmp_path


def test_a_folder_that_is_not_there_needs_nothing(tmp_path):
    assert discard_unreadable(tmp_path / "broker") == []


def test_it_removes_what_was_not_written_to_its_end(folder):
    (folder / "1_a.quick.msg").write_text("")
    (folder / "2_b.slow.msg").write_text('{"body": "half')
    (folder / "control" / "quick.exchange").write_text("")

    assert sorted(discard_unreadable(folder)) == ["1_a.quick.msg", "2_b.slow.msg", "quick.exchange"]
    assert list(folder.glob("*.*")) == list(folder.glob("control/*")) == []


def test_it_keeps_what_is_whole(folder):
    (folder / "1_a.quick.msg").write_text('{"body": "whole"}')
    (folder / "control" / "quick.exchange").write_text('[["", "", "quick"]]')

    assert discard_unreadable(folder) == []
    assert (folder / "1_a.quick.msg").exists()
    assert (folder / "control" / "quick.exchange").exists()
