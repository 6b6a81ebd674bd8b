import csv
import pathlib
import time

from django.contrib import messages
from django.forms import ModelForm
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from .models import Entry


class EntryForm(ModelForm):
    class Meta:
        model = Entry
        fields = ["name", "text"]


def index(request):
    """The entries and a form for the next one; a session counts the visits."""
    form = EntryForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        entry = form.save()
        messages.success(request, f"Thank you, {entry.name}.")
        return redirect("index")
    request.session["visits"] = request.session.get("visits", 0) + 1
    return render(request, "guestbook/index.html", {"form": form, "entries": Entry.objects.all()[:50]})


def entry(request, pk):
    found = get_object_or_404(Entry, pk=pk)
    return JsonResponse({"name": found.name, "text": found.text})


class Echo:
    """A file for csv.writer whose write returns the line."""

    def write(self, line):
        return line


def export(request):
    """All entries as CSV, row by row as they come from the database."""
    writer = csv.writer(Echo())
    rows = Entry.objects.order_by("id").values_list("id", "name", "text").iterator()
    return StreamingHttpResponse((writer.writerow(row) for row in rows), content_type="text/csv")


def source(request):
    """This file, by wsgi.file_wrapper."""
    return FileResponse(open(pathlib.Path(__file__), "rb"), content_type="text/plain")


def sleep(request):
    time.sleep(0.5)
    return HttpResponse("slept\n", content_type="text/plain")


def error(request):
    raise RuntimeError("the example's error")
