"""The workers' board: what each knows of the others, and what outlasts them."""

import os
import subprocess
import sys
from contextlib import closing

import pytest

from lynkr.stores.sqlite_board import MOST_PAST, SqliteBoard


def total(parts):
    return [sum(values) for values in zip(*parts, strict=True)]


@pytest.fixture
def boards(tmp_path):
    one, two = (SqliteBoard(tmp_path / "board.sqlite3", sum_up=total) for _ in range(2))
    with closing(one), closing(two):
        yield one, two
        assert (one.faults, two.faults) == (0, 0)


def test_each_sees_the_latest_of_the_others_and_not_its_own(boards, monkeypatch):
    one, two = boards
    one.post({"live": 1}, [1])
    monkeypatch.setattr(os, "getpid", os.getppid)  # another process that lives
    two.post({"live": 2}, [2])
    two.post({"live": 3}, [5])
    assert one.states() == ({"live": 3},)
    assert [(post.lives, post.counts) for post in one.others()] == [(True, [5])]
    assert two.states() == ({"live": 1},)


def test_counts_begun_anew_leave_the_old_ones_as_past(boards):
    one, two = boards
    one.post({}, [1])
    one.post({}, [4])
    one.post({}, [10], anew=True)
    assert [(post.lives, post.counts) for post in one.others()] == [(False, [4])]
    assert sorted((post.lives, post.counts) for post in two.others()) == [(False, [4]), (True, [10])]


POST = """
import sys
from lynkr.stores.sqlite_board import SqliteBoard
board = SqliteBoard(sys.argv[1], sum_up=lambda parts: [sum(values) for values in zip(*parts)])
for number in range(int(sys.argv[2])):
    board.post({"live": 1}, [number], anew=True)
"""


def test_counts_outlast_their_makers_and_are_summed_up_when_they_are_many(boards, tmp_path):
    one, _ = boards
    command = [sys.executable, "-c", POST, str(tmp_path / "board.sqlite3"), str(MOST_PAST * 2)]
    subprocess.run(command, check=True, timeout=30)
    one.post({}, [0])
    assert one.states() == (), "nobody of them lives"
    gone = one.others()
    assert len(gone) <= MOST_PAST + 1
    assert sum(post.counts[0] for post in gone) == sum(range(MOST_PAST * 2))


def test_who_is_logged_in_at_one_is_at_all_until_he_is_nowhere(boards):
    one, two = boards
    one.log_in(b"key", b"token", 100.0, 0.0, 32)
    assert two.is_logged_in(b"key", b"token", 99.0)
    assert not two.is_logged_in(b"key", b"token", 100.0)
    assert not two.is_logged_in(b"another key", b"token", 0.0)
    two.log_out(b"key", b"token")
    assert not one.is_logged_in(b"key", b"token", 0.0)


def test_without_its_file_a_worker_knows_of_itself_alone(tmp_path):
    with closing(SqliteBoard(tmp_path / "no" / "such", sum_up=total)) as board:
        board.post({}, [])
        board.log_in(b"k", b"t", 9.0, 0.0, 1)
        assert (board.others(), board.states(), board.is_logged_in(b"k", b"t", 0.0)) == ((), (), False)
        assert board.faults == 5
        assert "FileNotFoundError" in board.last_fault
    assert (tmp_path / "no").exists() is False


def test_the_file_is_its_owners_alone(boards, tmp_path):
    boards[0].post({}, [])
    assert (tmp_path / "board.sqlite3").stat().st_mode & 0o777 == 0o600
