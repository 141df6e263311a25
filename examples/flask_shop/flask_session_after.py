"""The shop on Flask-Session 0.8, as the articles advise: msgpack in Redis, and still pickle."""

import flask
from flask_session import Session
from werkzeug.wrappers import Response

import plainpickle.flask
from examples.flask_shop import shop, store

app = flask.Flask(__name__)
app.config["APP"] = __name__
app.config["SESSION_TYPE"] = "redis"
app.config["SESSION_REDIS"] = store.client()
Session(app)
plainpickle.flask.Plainpickle(app)
app.register_blueprint(shop.pages)


@app.post("/login")
def login() -> Response:
    if shop.knows(flask.request.form):
        flask.session["user"] = {"name": flask.request.form["username"], "credit": "25.00"}
    return flask.redirect("/")


@app.before_request
def load_user() -> None:
    flask.g.user = flask.session.get("user")


@app.post("/logout")
def logout() -> Response:
    flask.session.clear()
    return flask.redirect("/")
