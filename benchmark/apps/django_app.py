"""Django's hello."""
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="benchmark", MIDDLEWARE=[])


def say_hello(request):
    return HttpResponse("Hello, World\n", content_type="text/plain")


urlpatterns = [path("hello", say_hello)]
hello = get_wsgi_application()
