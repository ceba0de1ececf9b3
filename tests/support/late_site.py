"""A Flask application that has not loaded asgiref before its first ``async def`` view is called."""

from __future__ import annotations

import os
import sys

from flask import Flask

from stagedoor.integrations.flask import StageDoor

app = Flask(__name__)


@app.get("/late")
async def late() -> str:
    number = 1
    return f"late {number}"  # stop: late


@app.get("/pid")
def pid() -> str:
    return str(os.getpid())


@app.get("/loaded")
def loaded() -> str:
    return str("asgiref.sync" in sys.modules)


StageDoor(app)
