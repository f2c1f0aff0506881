"""Which packages can be imported: run in a process of its own, which a broken one may take along.

Prints, for each argument, a line of JSON before it is tried and one after.
"""

import importlib
import json
import sys


def main() -> None:
    """Try each module named on the command line."""
    for name in sys.argv[1:]:
        _say({"trying": name})
        try:
            importlib.import_module(name)
            problem = ""
        except BaseException as error:  # whatever is broken
            problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
        _say({"tried": name, "problem": problem})


def _say(fact: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
