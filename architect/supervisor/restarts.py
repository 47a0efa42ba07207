"""When a program that has ended is started again."""

from dataclasses import dataclass

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
SOUND_AFTER_S = 60.0


@dataclass(slots=True)
class Restarts:
    """Each end doubles the pause before the next start; a program that ran for a minute begins from the shortest."""

    ends_in_a_row: int = 0

    def pause_s(self, *, ran_s: float) -> float:
        """How long to wait after an end now, `ran_s` seconds after the start."""
        if ran_s >= SOUND_AFTER_S:
            self.ends_in_a_row = 0
        pause_s = FIRST_PAUSE_S * 2.0 ** min(self.ends_in_a_row, 10)
        self.ends_in_a_row += 1
        return min(pause_s, LONGEST_PAUSE_S)
