"""Fuzzers, one module a surface: input that nobody means, made of a seed. ``python -m tests.fuzz --help`` runs them on.

``FUZZ_SEED`` is another seed than CI's; a failure names the one input that failed, as ``FUZZ_SEED=seed:number``.
"""
