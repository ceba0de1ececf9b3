"""Breakpoints in templates, through the plugins that pydevd has for Jinja2 and Django."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.servers import ALLOWED, OTHER
from support.sites import Site, open_site

FOLDER = {"flask": "templates", "django": "templates/django"}


@pytest.fixture(params=["flask", "django"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), request.param) as site:
        yield site


def test_a_line_of_a_template_stops_matching_requests_and_no_others(site: Site) -> None:
    template = str(site.source.parent / FOLDER[site.site] / "page.html")
    # The template is loaded, and run by others, before anybody attaches.
    expected = site.get("/page", OTHER).body
    assert "pear" in expected
    kind = "jinja" if site.site == "flask" else "django"
    ide = site.attached("uncaught", breakpoints={template: [3]}, arguments={kind: True})

    pending = site.start_get("/page", ALLOWED)
    for fruit in ("apple", "pear"):
        found = ide.stopped()
        frame = found.frame()
        assert (frame["source"]["path"], frame["line"]) == (template, 3)
        assert found.session.evaluate("fruit", frame["id"], "watch") == repr(fruit)
        assert site.get("/page", OTHER).body == expected
        assert not pending.done
        found.resume()
    assert pending.answer().body == expected
    # On a thread that served a matching request, too.
    for _ in range(10):
        assert site.get("/page", OTHER).body == expected


def test_a_step_goes_to_the_next_line_of_the_template(site: Site) -> None:
    template = str(site.source.parent / FOLDER[site.site] / "page.html")
    kind = "jinja" if site.site == "flask" else "django"
    ide = site.attached("uncaught", breakpoints={template: [2]}, arguments={kind: True})
    pending = site.start_get("/page", ALLOWED)
    found = ide.stopped()
    assert found.frame()["line"] == 2
    found.session.next(found.thread_id)
    found = ide.stopped()
    assert (found.frame()["source"]["path"], found.frame()["line"]) == (template, 3)
    ide.set_breakpoints({template: []})
    found.resume()
    assert "pear" in pending.answer().body
