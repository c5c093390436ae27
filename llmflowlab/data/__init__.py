"""What is done with benchmark files before anything is asked: check, sample, split, convert, register."""
