"""Each figure is the same through every door: one test drives the program once and reads them all."""
