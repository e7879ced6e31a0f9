from tickledger import BarStrategy, Enter, Exit, Param


class Turns(BarStrategy):
    """Turns over every second minute, with a stop so near that it may be met before."""

    version = 1
    bars = "M1"
    each = Param(2, 1, 100)

    def start(self):
        self.count = 0

    def on_bar(self, bar):
        self.count += 1
        if self.count % self.each:
            return None
        side = Enter.long if self.count // self.each % 2 else Enter.short
        return side(plan=Exit(stop=0.0006, target=0.0006, on_opposite="reverse"), valid_for="10m")
