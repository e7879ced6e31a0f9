"""Parameters of a strategy from their JSON form."""

from __future__ import annotations

import pytest

from agents.berserker import BerserkerParameters
from agents.parameters import BadParameters, canonical, parse


def test_what_is_left_out_keeps_its_default_and_the_form_is_canonical() -> None:
    parameters = parse(BerserkerParameters, '{"turn_agree": 2, "commission_points": 3}')
    assert (parameters.turn_agree, parameters.commission_points, parameters.turn_changes) == (2, 3.0, 6)
    assert parse(BerserkerParameters, canonical(parameters)) == parameters
    assert canonical(parameters).startswith('{"breakeven_at":0.5,"commission_points":3.0,')
    assert parse(BerserkerParameters, "") == BerserkerParameters()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "are not JSON"),
        ("[]", "not a JSON object"),
        ('{"edge": 1}', "unknown parameter 'edge': there are breakeven_at, commission_points"),
        ('{"mean_ms": 1.5}', "mean_ms = 1.5 is no int"),
        ('{"mean_ms": true}', "mean_ms = True is no int"),
        ('{"mean_ms": 10}', "mean_ms = 10 is not between 1000 and 86400000"),
        ('{"commission_points": NaN}', "commission_points = nan is not between"),
        ('{"turn_changes": 3}', "turn_agree = 4 is more than turn_changes = 3"),
    ],
)
def test_what_a_strategy_cannot_run_with_is_named(text: str, message: str) -> None:
    with pytest.raises(BadParameters) as raised:
        parse(BerserkerParameters, text)
    assert message in str(raised.value)
