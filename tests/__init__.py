import os

# One test a core: further threads of linear algebra only wait for each other, and spin while they do.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
