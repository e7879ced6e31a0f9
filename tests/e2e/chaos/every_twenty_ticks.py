import numpy as np

from tickledger import Enter, Exit, Param, TickStrategy


class EveryTwentyTicks(TickStrategy):
    """Turns over every twenty ticks, with stop and target so near that one of them may be met before."""

    version = 1
    ticks_each = Param(20, 2, 1_000)

    def start(self):
        self.count = 0

    def on_block(self, ticks):
        counts = self.count + 1 + np.arange(len(ticks.bid))
        self.count += len(ticks.bid)
        plan = Exit(stop=0.0004, target=0.0004, on_opposite="reverse")
        for i in np.flatnonzero(counts % self.ticks_each == 0):
            side = Enter.long if int(counts[i]) // self.ticks_each % 2 else Enter.short
            yield i, side(plan=plan, valid_for="30m")
