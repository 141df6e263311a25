"""The shop of the old articles: a view pickles into the session, and Redis holds pickles."""

import os
import pickle
from decimal import Decimal

import flask
from werkzeug.wrappers import Response

from examples.flask_shop import redis_sessions, shop, store

app = flask.Flask(__name__)
app.config["APP"] = __name__
app.secret_key = "the shop's key, which is in its repository as so often"
if os.environ.get("SHOP_SESSIONS") != "cookie":  # which is where Flask itself keeps them
    app.session_interface = redis_sessions.RedisSessionInterface(store.client())
app.register_blueprint(shop.pages)


@app.post("/login")
def login() -> Response:
    if shop.knows(flask.request.form):
        user_info = {"name": flask.request.form["username"], "credit": Decimal("25.00")}
        flask.session["user_info"] = pickle.dumps(user_info)
    return flask.redirect("/")


@app.before_request
def load_user() -> None:
    flask.g.user = None
    if "user_info" in flask.session:
        try:
            flask.g.user = pickle.loads(flask.session["user_info"])
        except pickle.UnpicklingError:
            del flask.session["user_info"]


@app.post("/logout")
def logout() -> Response:
    flask.session.clear()
    return flask.redirect("/")
