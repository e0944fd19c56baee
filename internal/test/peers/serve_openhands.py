"""Serves the secrets routes of openhands-ai as they are installed, on the port given.

Its whole application imports agents, browsers and runtimes, which takes minutes; these
routes, their authentication and their file store are all that is compared.
"""

import sys

import uvicorn
from fastapi import FastAPI
from openhands.server.routes.secrets import app as secrets

app = FastAPI()
app.include_router(secrets)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
