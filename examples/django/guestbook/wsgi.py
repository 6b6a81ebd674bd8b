"""The WSGI application. The example brings its database up to date at start, so that one command serves it; a real site
has its deployment do that, once and not in every worker."""
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guestbook.settings")

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()
call_command("migrate", verbosity=0)
