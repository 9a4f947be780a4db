"""Real faults for real processes: producers, workers and sweepers that are killed, frozen and begun anew together with
the servers they use, and a ledger outside of them that books each effect.

``python -m rules_engine.testing.faults --help`` is the ordeal: all of it, for as long as is said, by a seed. It needs a
system with signals and process groups (Linux, macOS) and belongs into tests alone: whoever adds it to
``INSTALLED_APPS`` has an action that posts to whatever address its rule says.
"""
