"""`local`: language models inside the program, run by llama.cpp in this process."""
