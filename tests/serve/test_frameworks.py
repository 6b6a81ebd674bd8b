"""Frameworks from the registry: what they call an application is taken for what it is, WSGI or ASGI.

They are installed once into a virtualenv in the build directory. Where the registry cannot be reached, or has none for
this CPython, the tests are skipped.
"""
import re
import subprocess

import pytest

from conftest import BUILD

PACKAGES = ["fastapi", "starlette", "django", "quart", "falcon", "litestar", "channels", "a2wsgi", "flask", "bottle",
            "pyramid"]
SECONDS = 300  # for the installation

APPS = """
def configure():
    from django.conf import settings
    if not settings.configured:
        settings.configure(SECRET_KEY='x', ROOT_URLCONF='apps', ALLOWED_HOSTS=['*'])

urlpatterns = []

def fastapi():
    from fastapi import FastAPI
    return FastAPI()

def starlette():
    from starlette.applications import Starlette
    return Starlette()

def starlette_middleware():
    from starlette.middleware.gzip import GZipMiddleware
    return GZipMiddleware(starlette())

def starlette_endpoint():
    from starlette.endpoints import HTTPEndpoint
    return HTTPEndpoint

def django_asgi():
    from django.core.asgi import get_asgi_application
    configure()
    return get_asgi_application()

def channels():
    from channels.routing import ProtocolTypeRouter
    configure()
    return ProtocolTypeRouter({})

def quart():
    from quart import Quart
    return Quart('apps')

def falcon_asgi():
    import falcon.asgi
    return falcon.asgi.App()

def litestar():
    from litestar import Litestar
    return Litestar()

def asgiref():
    from asgiref.wsgi import WsgiToAsgi
    return WsgiToAsgi(flask())

def django_wsgi():
    from django.core.wsgi import get_wsgi_application
    configure()
    return get_wsgi_application()

def falcon_wsgi():
    import falcon
    return falcon.App()

def flask():
    from flask import Flask
    return Flask('apps')

def werkzeug():
    from werkzeug.middleware.dispatcher import DispatcherMiddleware
    from werkzeug.middleware.proxy_fix import ProxyFix
    return ProxyFix(DispatcherMiddleware(flask(), {}))

def local_proxy():
    from werkzeug.local import LocalProxy
    app = flask()
    return LocalProxy(lambda: app)

def bottle():
    import bottle
    return bottle.Bottle()

def pyramid():
    from pyramid.config import Configurator
    return Configurator().make_wsgi_app()

def a2wsgi():
    from a2wsgi import ASGIMiddleware
    return ASGIMiddleware(fastapi())
"""


@pytest.fixture(scope="module")
def frameworks(tmp_path_factory):
    """The virtualenv."""
    command = [BUILD / "syncless-python", "-c", "import sys; print(sys.executable, *sys.version_info[:2])"]
    executable, major, minor = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.split()
    venv = BUILD / f"frameworks-{major}.{minor}"
    if not (venv / "complete").exists():
        for step in ([executable, "-m", "venv", "--clear", venv],
                     [venv / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES]):
            done = subprocess.run(step, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
            if done.returncode != 0:
                pytest.skip("cannot install the frameworks: " + done.stdout.strip().split("\n")[-1])
        (venv / "complete").touch()
    return venv


def load(run_server, frameworks, app):
    ini = f"[wsgi /]\napp = apps:{app}()\nvirtualenv = {frameworks}\n"
    return run_server(["--check=app"], ini, {"apps.py": APPS})


@pytest.mark.limit(2 * SECONDS)
@pytest.mark.parametrize("app", ["fastapi", "starlette", "starlette_middleware", "starlette_endpoint", "django_asgi",
                                 "channels", "quart", "falcon_asgi", "litestar", "asgiref"])
def test_asgi_applications_are_refused(run_server, frameworks, app):
    done = load(run_server, frameworks, app)
    assert done.returncode == 4, done
    assert re.search(rf"TypeError: apps:{app}\(\) is an ASGI application", done.stderr), done.stderr


@pytest.mark.limit(2 * SECONDS)
@pytest.mark.parametrize("app", ["django_wsgi", "falcon_wsgi", "flask", "werkzeug", "local_proxy", "bottle", "pyramid",
                                 "a2wsgi"])
def test_wsgi_applications_are_accepted(run_server, frameworks, app):
    done = load(run_server, frameworks, app)
    assert done.returncode == 0, done.stderr
