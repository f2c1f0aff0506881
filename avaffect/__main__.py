"""``python -m avaffect``, which is also what ``torchrun -m avaffect`` starts."""

from importlib import import_module

import_module("avaffect.cli.main").main()
