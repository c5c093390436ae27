"""What is remembered: journals, their delivery to sinks, MLflow's store, runs, traces and registry."""
