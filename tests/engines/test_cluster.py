"""What needs no cluster; `tests/cli/test_cli_cluster.py` runs one."""

from __future__ import annotations

import socket

import pytest

from avaffect.engines.cluster import _require_answer
from avaffect.errors import AvaffectError


def test_an_address_at_which_nothing_answers_is_refused_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        # Bound, but nobody listens.
        for given in (address, f"ray://{address}"):
            with pytest.raises(AvaffectError, match="no Ray cluster answers at RAY_ADDRESS"):
                _require_answer(given)


def test_one_that_answers_and_words_of_rays_pass() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        _require_answer(f"127.0.0.1:{server.getsockname()[1]}")
    _require_answer("auto")
    _require_answer("local")
