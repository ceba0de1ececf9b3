"""What single tests want of the machine; without it they are skipped and say so."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from support import apache

needs_uwsgi = pytest.mark.skipif(
    not Path(sys.executable).with_name("uwsgi").exists(), reason="uWSGI is not installed beside this Python"
)
needs_apache = pytest.mark.skipif(apache.missing() is not None, reason=str(apache.missing()))
needs_mod_wsgi_6 = pytest.mark.skipif(
    apache.missing(package=True) is not None, reason=str(apache.missing(package=True))
)
below_312 = pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.12 and newer work there")


def needs(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")
