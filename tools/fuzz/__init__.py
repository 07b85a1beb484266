"""The fuzz harness: what each reader of a stranger's bytes promises, and inputs that try to break it.

    python -m tools.fuzz --list
    python -m tools.fuzz TARGET|all [--runs N] [--seconds S] [--corpus DIR] [--seed N] [--plain]
    python -m tools.fuzz TARGET --replay FILE | --minimise FILE

Where atheris is installed (`pip install -e '.[fuzz]'`) it chooses the inputs, guided by the code they reach; else, and
with `--plain`, they are mutations of the seeds, the same in every run. An input that breaks a promise is written to
the corpus folder, else to the current one, as `broken-TARGET-DIGEST`. docs/fuzzing.md says more.
"""
