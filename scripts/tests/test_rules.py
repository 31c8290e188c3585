# SPDX-License-Identifier: BSD-3-Clause
"""The rules of the house that a script can check; `make lint` checks the rest."""

import pytest

import lint


@pytest.mark.parametrize("rule", [lint.check_sharing, lint.check_text],
                         ids=lambda f: f.__name__[len("check_"):])
def test_rule(rule):
    assert rule() == []
