"""A site of Django's own test views (tests/ of its source tree: test_client, view_tests, handlers), a WSGI application.

Run as a program it prints, as JSON, what Django's in-process test client gets for each request of REQUESTS: the same
requests must get that over the wire. The folder of Django's tests is $DJANGO_TESTS.
"""
import json
import os
import sys

import django
from django.conf import settings

TESTS = os.environ["DJANGO_TESTS"]
sys.path.insert(0, TESTS)
settings.configure(
    SECRET_KEY="for tests only",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "view_tests",
                    *(f"view_tests.app{number}" for number in (0, 1, 2, 5))],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
                "DIRS": [f"{TESTS}/templates", f"{TESTS}/handlers/templates"]}],
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402

import view_tests.urls  # noqa: E402

urlpatterns = view_tests.urls.urlpatterns + [
    path("client/", include("test_client.urls")),
    path("handlers/", include("handlers.urls")),
]
application = get_wsgi_application()

FORM = "application/x-www-form-urlencoded"
REQUESTS = [("GET", f"/client/{name}/", "", "") for name in (
    "get_view", "post_view", "put_view", "header_view", "redirect_view", "redirect_view_307", "redirect_view_308",
    "redirect_view_307_query_string", "redirect_view_308_query_string", "secure_view", "permanent_redirect_view",
    "temporary_redirect_view", "http_redirect_view", "https_redirect_view", "double_redirect_view", "bad_view",
    "form_view",
    "form_view_with_template", "formset_view", "login_protected_view", "login_protected_method_view", "session_view",
    "broken_view", "accounts", "django_project_redirect", "two_arg_exception", "async_get_view")]
REQUESTS += [("GET", f"/{name}", "", "") for name in (
    "", "nonexistent_url/", "server_error/", "raises400/", "raises403/", "raises404/", "raises500/", "technical404/",
    "classbased404/", "jsi18n/", "jsi18n/app1/", "jsi18n_multi_packages1/", "jsi18n_admin/", "jsoni18n/", "site_media/",
    "site_media/file.txt", "site_media/file.txt.gz", "site_media/long-line.txt", "site_media/%2F.txt", "site_media/no",
    "path-post/1/",
    "test-setlang/a%20b/", "template_exception/")]
REQUESTS += [("GET", f"/handlers/{name}/", "", "") for name in (
    "regular", "async_regular", "no_response_fbv", "no_response_cbv", "streaming", "not_in_transaction", "bad_request",
    "suspicious", "httpstatus_enum", "unawaited")]
REQUESTS += [
    ("GET", "/client/get_view/?var=%C3%A9%20%26", "", ""),
    ("HEAD", "/client/get_view/", "", ""),
    ("OPTIONS", "/client/get_view/", "", ""),
    ("POST", "/client/post_view/", FORM, "value=37&other=%C3%A9"),
    ("POST", "/client/raw_post_view/", "text/xml",
     "<?xml version='1.0' encoding='utf-8'?><library><book><title>Blink</title>"
     "<author>Malcolm Gladwell</author></book></library>"),
    ("PUT", "/client/put_view/", FORM, "foo=bar"),
    ("POST", "/client/json_view/", "application/json", '{"value": [37, null]}'),
    ("POST", "/client/form_view/", FORM, "text=Hello&email=foo%40example.com&value=37&single=b&multi=b&multi=c"),
    ("POST", "/client/form_view/", FORM, "text=Hello&email=wrong"),
    ("POST", "/i18n/setlang/", FORM, "language=de&next=/"),
    ("POST", "/handlers/malformed_post/", FORM, "a=" + "x" * 70000),
]


def reference():
    """[status, headers, body] of each request by Django's own client."""
    from django.test import Client

    for method, target, kind, body in REQUESTS:
        client = Client(raise_request_exception=False)
        response = client.generic(method, target, body, kind or "application/octet-stream")
        content = response.getvalue() if response.streaming else response.content
        yield [response.status_code, sorted(response.items()), content.decode("latin-1")]


if __name__ == "__main__":
    json.dump({"requests": REQUESTS, "answers": list(reference())}, sys.stdout)
