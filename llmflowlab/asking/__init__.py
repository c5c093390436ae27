"""One paid call: retries, pace, budget, stop and metering; whoever asks a model asks through here."""
