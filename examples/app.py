"""A small shop on a staging server: Flask, behind one reverse proxy, with Stagedoor.

Who may debug is in the environment (``STAGEDOOR_ALLOW``), like everything else that differs from server to server. The
order matters: ProxyFix is applied last, so that it runs first, and Stagedoor sees the visitor's address and not nginx's.
``x_for=1`` is the number of proxies in front. With a larger one anybody could write an allowed address into
X-Forwarded-For.
"""

from __future__ import annotations

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

from stagedoor import StageDoor

PRICES = {"apple": 3, "pear": 4}

app = Flask(__name__)


@app.get("/basket")
def basket() -> dict[str, int | str]:
    wanted = request.args.getlist("item")
    total = sum(PRICES[item] for item in wanted)
    return {"visitor": request.remote_addr or "", "total": total}


app.wsgi_app = StageDoor(app.wsgi_app)  # type: ignore[method-assign]
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)  # type: ignore[method-assign]
