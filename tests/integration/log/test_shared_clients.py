"""Writers of many listings on one producer and one consumer: each chain as if it were alone."""

from __future__ import annotations

import pytest

from infra.chain_follower import Fenced
from infra.tick_writer import TickClients
from schemas.accept import Verdict
from tests.conftest import TestStack
from tests.integration.log.place import Place, write

pytestmark = pytest.mark.stack


def test_chains_of_many_listings_are_written_and_read_back_by_one_pair_of_clients(stack: TestStack) -> None:
    # More than the topic has partitions: some of them share one.
    places = [Place(stack) for _ in range(40)]
    clients = TickClients(places[0].kafka, places[0].keys)
    writers = [place.writer(clients=clients) for place in places]
    for writer in writers:
        writer.open()
        write(writer, blocks=1)
    for round_ in range(3):
        for writer in writers[round_ * 10 :]:
            write(writer, blocks=2)
    for writer in writers:
        writer.drain()
        assert writer.written == writer.head
        writer.anchor()
    late = Place(stack)
    with late.writer(clients=clients) as writer:
        writer.open()
        write(writer, blocks=2)
        writer.drain()
    clients.close()
    expected = [3 if i < 10 else 5 if i < 20 else 7 for i in range(40)]
    assert [place.written() for place in places] == [blocks * 3 for blocks in expected]
    assert late.written() == 6
    assert {verdict for place in places for verdict in place.verdicts()} == {Verdict.TAKE}


def test_one_that_is_fenced_ends_alone(stack: TestStack) -> None:
    one, two = Place(stack), Place(stack)
    clients = TickClients(one.kafka, one.keys)
    fenced, other = one.writer(clients=clients), two.writer(clients=clients)
    fenced.open()
    other.open()
    with one.writer() as taker:
        taker.open()
        write(taker, blocks=1)
        taker.drain()
        with pytest.raises(Fenced):
            write(fenced, blocks=300)
        fenced.close()
        write(other, blocks=300)
        other.drain()
    clients.close()
    assert (one.written(), two.written()) == (3, 900)
