"""Several commands on one home: who starts, who attaches, who waits for whom."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.integration.stack.keeping import Keeper, family, once, wait

pytestmark = pytest.mark.stack


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_a_command_uses_what_up_keeps_and_leaves_it_running(home: Path) -> None:
    with Keeper(home, "up", "first") as keeper:
        kafka = keeper.ready().said("ready")
        said = once(home, "hold", "kafka,postgres")
        assert (said["ready"], said["started"]) == (kafka, [])
        assert keeper.process.poll() is None
        assert once(home, "status", "first")["status"]["kafka"]["state"] == "ready"


def test_of_two_at_once_one_starts_and_stays_until_the_other_has_ended(home: Path, tmp_path: Path) -> None:
    end = tmp_path / "end"
    hold = ("hold", "kafka,postgres", str(end))
    with Keeper(home, *hold) as one, Keeper(home, *hold) as other:
        assert one.ready().said("ready") == other.ready().said("ready")
        assert sorted([one.said("started"), other.said("started")]) == [[], ["postgres", "kafka"]]
        end.touch()
        assert (one.end(), other.end()) == (0, 0)
    assert once(home, "status")["status"]["kafka"]["state"] == "stopped"


def test_who_started_waits_for_who_still_uses_unless_asked_to_end(home: Path, tmp_path: Path) -> None:
    end = tmp_path / "end"
    with Keeper(home, "hold", "kafka,postgres", str(end)) as owner:
        owner.ready()
        with Keeper(home, "hold", "kafka", "never") as user:
            assert user.ready().said("started") == []
            end.touch()
            wait(lambda: any("still uses kafka" in line.get("progress", "") for line in owner.lines))
            time.sleep(0.3)
            assert owner.process.poll() is None
            owner.process.send_signal(signal.SIGTERM)
            assert owner.end() == 0
            user.process.kill()


def test_what_a_first_command_did_not_need_is_started_by_the_second(home: Path) -> None:
    with Keeper(home, "hold", "kafka", "never") as first:
        first.ready()
        second = once(home, "hold", "kafka,postgres")
        assert (second["code"], second["started"]) == (0, ["postgres"])
        states = once(home, "status")["status"]
        assert (states["kafka"]["state"], states["postgres"]["state"]) == ("ready", "stopped")
        refused = once(home, "up")
        assert refused["kind"] == "HomeBusy"
        assert str(first.process.pid) in refused["error"]


def test_a_user_whose_owner_is_killed_is_not_in_the_way_of_the_next(home: Path) -> None:
    with Keeper(home, "hold", "kafka", "never") as owner, Keeper(home, "hold", "kafka", "never") as user:
        wait(lambda: bool(owner.said("ready") and user.said("ready")), 90)
        starter = owner if owner.said("started") else user
        everything = family(starter.process.pid)
        starter.process.kill()
        with Keeper(home, "hold", "kafka", "never") as following:
            assert following.ready().said("started") == ["kafka"]
            assert not [process for process in everything if process.alive()]


def test_a_user_is_told_when_its_owner_ends_what_it_uses(home: Path) -> None:
    with Keeper(home, "hold", "kafka", "never") as owner:
        owner.ready()
        with Keeper(home, "hold", "kafka", "never") as user:
            assert user.ready().said("started") == []
            owner.process.send_signal(signal.SIGTERM)
            assert user.end() == 2
            assert "was ended by the command that ran it; run this one again" in user.said("error")
            assert user.said("kind") == "ServiceFailed"
