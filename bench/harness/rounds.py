"""Interleaved rounds."""

import random
import time

from harness.ratios import Round, keep_rounds

PROBE_EVERY = 4  # slices


def run_rounds(cases, measure, probe, wanted, *, tell, seed=0, limit_s=float("inf")):
    """Measures every case once a round, in an order shuffled anew, until `wanted` rounds
    count (see keep_rounds), at most twice as many and two. After limit_s seconds no
    round begins. Returns (the rounds that count, how many were dropped).

    measure(case) -> Slice; probe() -> the machine's peak, any unit."""
    shuffle = random.Random(seed).shuffle
    rounds = []
    begin = time.monotonic()
    while len(rounds) < 2 * wanted + 2:
        kept = keep_rounds(rounds)
        elapsed = time.monotonic() - begin
        if len(kept) >= wanted or (rounds and elapsed > limit_s):
            break
        left = f", {elapsed / len(rounds) * (wanted - len(kept)) / 60:.0f} min left" if rounds else ""
        tell(f"round {len(rounds) + 1}: {len(kept)} of {wanted} count{left}")
        order = list(cases)
        shuffle(order)
        peaks = [probe()]
        slices = {}
        for position, case in enumerate(order, 1):
            slices[case] = measure(case)
            if position % PROBE_EVERY == 0 or position == len(order):
                peaks.append(probe())
        rounds.append(Round(tuple(peaks), slices))
    kept = keep_rounds(rounds)
    return kept, len(rounds) - len(kept)
