"""Calls a surface with one source of chance after another, each made of the seed and a number."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

Surface = Callable[[random.Random], Any]
#: CI's: always the same input there.
SEED = "1"


def chances(number: int | None = None) -> Iterator[tuple[str, random.Random]]:
    """Yield so many sources of chance with their names; without end for None, and one where the seed names one."""
    seed, _colon, only = os.environ.get("FUZZ_SEED", SEED).partition(":")
    numbers = [int(only)] if only else range(number) if number is not None else count()
    for each in numbers:
        name = f"{seed}:{each}"
        yield name, random.Random(name)


def fuzz(surface: Surface, number: int) -> None:
    """Give a surface so many inputs. Raises what it raises, with the name of the input in a note."""
    for name, chance in chances(number):
        try:
            surface(chance)
        except BaseException as error:
            error.add_note(f"To see it again: FUZZ_SEED={name}")
            raise
