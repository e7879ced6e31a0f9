"""How a venue treats orders: what a simulation has to assume, with every assumption named."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueModel:
    """Assumptions about a venue. Shares are probabilities, drawn by a counter hash of (seed, order number)."""

    latency_ms: float = 0.0
    """From the decision until the order is at the venue."""
    latency_jitter_ms: float = 0.0
    """Added to it, evenly spread from 0 to this."""
    slippage_points: float = 0.0
    """How much worse than the quote market and stop orders fill, points."""
    slippage_jitter_points: float = 0.0
    """Added to it, evenly spread from 0 to this."""
    reject_share: float = 0.0
    """Of market orders that are rejected."""
    requote_share: float = 0.0
    """Of market orders that are requoted, which is a rejection with its own return code."""
    partial_share: float = 0.0
    """Of market orders that are filled in two deals."""
    max_deal_lots: float = 0.0
    """Largest deal; a larger order fills in several, on consecutive ticks. 0 = no such limit."""
    seed: int = 1
