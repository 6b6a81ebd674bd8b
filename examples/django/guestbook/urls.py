from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("", views.index, name="index"),
    path("entry/<int:pk>/", views.entry),
    path("entries.csv", views.export),
    path("source", views.source),
    path("sleep", views.sleep),
    path("error", views.error),
    path("admin/", admin.site.urls),
]
