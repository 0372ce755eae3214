"""From raw candles to sound ones: repairs, duplicates, spikes, quality and its gates."""
