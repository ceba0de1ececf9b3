"""Template breakpoints and template errors of several developers in one pydevd. The test plays the gatekeeper."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from stagedoor.dap.rules import Rule
from support import sessions_site
from support.gatekeeper_side import Side
from support.sessions_site import line_of, render_django, render_jinja

KINDS = {"jinja": render_jinja, "django": render_django}


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_of_a_template_stops_whose_condition_and_hits_count(kind: str, tmp_path: Path) -> None:
    render: Callable[[str, list[int]], str] = KINDS[kind]
    template = tmp_path / "page.html"
    template.write_text("<ul>\n{% for item in items %}\n<li>{{ item }}</li>\n{% endfor %}\n</ul>\n")
    folder, items = str(tmp_path), [1, 2, 3]
    expected = render(folder, items)
    with closing(Side(**{kind: True})) as side:
        side.set(
            (3, Rule("s1", condition="item == 2", key="a")),
            (3, Rule("s2", hit_condition="3", key="b")),
            file=str(template),
        )
        assert side.start(None, render, folder, items).result(10) == expected
        for session, item in (("s1", 2), ("s2", 3)):
            running = side.start(session, render, folder, items)
            stop = side.stopped(session)
            frame = side.client.stack(stop["threadId"])[0]
            assert (frame["line"], side.client.evaluate("item", frame["id"], "watch")) == (3, str(item))
            side.resume(stop)
            assert running.result(10) == expected
        side.set((3, Rule("s2", log_message="item {item}", key="c")), file=str(template))
        for session in ("s1", "s2", None):
            assert side.start(session, render, folder, items).result(10) == expected
        side.settle()
        assert side.printed() == side.printed("s2")
        assert side.printed("s2").splitlines() == ["item 1", "item 2", "item 3"]
        assert len(side.events("stopped")) == 2


def test_a_templates_error_stops_whoever_has_asked_for_it_and_spares_a_step_of_another(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>\n{{ missing }}\n</p>\n")
    with closing(Side(jinja=True)) as side:
        side.filters(s1=["raised"], s2=["uncaught"])
        side.set(("undefined", Rule("s2", key="a")))
        assert side.start(None, sessions_site.render_undefined, str(tmp_path)).result(10) == "undefined"
        theirs = side.start("s2", sessions_site.render_undefined, str(tmp_path))
        for line in (0, 1, 2):
            stop = side.stopped("s2")
            assert side.client.stack(stop["threadId"])[0]["line"] == line_of("undefined") + line
            side.client.next(stop["threadId"])
        stop = side.stopped("s2")
        assert stop["reason"] == "step"
        side.resume(stop)
        assert theirs.result(10) == "undefined"
        side.set()
        mine = side.start("s1", sessions_site.render_undefined, str(tmp_path))
        stop = side.stopped("s1")
        assert stop["reason"] == "exception"
        # Else it stops again in each function that the error passes.
        side.filters(s1=[], s2=[])
        side.resume(stop)
        assert mine.result(10) == "undefined"
