"""A Flask shop that can be debugged on a staging server.

STAGEDOOR_ALLOW=203.0.113.7 gunicorn --threads 8 flask_app:app
FLASK_APP=flask_app flask stagedoor open --for 30m
"""

from __future__ import annotations

from flask import Flask, request

from stagedoor.integrations.flask import StageDoor

app = Flask(__name__)
StageDoor(app)

PRICES = {"apple": 30, "pear": 40}


@app.get("/price")
def price() -> str:
    fruit = request.args["fruit"]
    return str(PRICES[fruit])
