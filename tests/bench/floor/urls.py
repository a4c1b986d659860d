"""The bare routes."""

from django.urls import path

from tests.bench.floor import views

urlpatterns = [
    path("sql/<int:count>", views.insert_by_sql),
    path("orm/<int:count>", views.insert_by_orm),
    path("writes/<int:inserts>/<int:updates>", views.write),
    path("rows/<str:key>", views.read),
]
