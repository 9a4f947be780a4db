"""The engine beside real packages: ``uv run --group interop pytest --ds=tests.interop.settings tests/interop``."""
