"""Login, second factor and logout, for people."""

from typing import Any, cast
from urllib.parse import quote

import qrcode
import qrcode.image.svg
from django.conf import settings
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import PermissionDenied
from django.forms.utils import ErrorDict
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_otp import login as otp_login
from django_otp.plugins.otp_totp.models import TOTPDevice

from settld.api.exchange import exchange
from settld.core.admin import is_platform_staff
from settld.core.errors import Refusal
from settld.tenants.forms import SecondFactorForm
from settld.tenants.models import User


class Login(auth_views.LoginView):
    """GET, POST /login; too many failures are held off by address and name."""

    template_name = "tenants/login.html"
    redirect_authenticated_user = True

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Charge the address for the failure, so that trying many names from one place stops, too."""
        if exchange.rate_limiter is not None:
            try:
                exchange.rate_limiter.spend_unauthenticated(self.request.META.get("REMOTE_ADDR", ""))
            except Refusal as refusal:
                return locked_out(self.request, retry_after=refusal.headers.get("retry-after"))
        return super().form_invalid(form)

    def get_success_url(self) -> str:
        user = cast(User, self.request.user)
        target = super().get_success_url()
        if TOTPDevice.objects.filter(user=user, confirmed=True).exists():
            return f"/login/second-factor?next={quote(target)}"
        return target


def locked_out(
    request: HttpRequest, _response: Any = None, _credentials: Any = None, *, retry_after: str | None = None
) -> HttpResponse:
    """Show the login page with the reason why nothing is tried now; 429."""
    form = AuthenticationForm(request)
    form.cleaned_data = {}
    form._errors = ErrorDict()  # type: ignore[attr-defined]  # an unbound form that has something to say
    form.add_error(None, "Too many failed attempts. Wait a while, then try again.")
    response = render(
        request, "tenants/login.html", {"form": form, "next": request.POST.get("next", "")}, status=429
    )
    response["retry-after"] = retry_after or str(int(settings.AXES_COOLOFF_TIME * 3600))
    return response


def admin_login(request: HttpRequest) -> HttpResponse:
    """Send the admin's visitors to the one login page; who is no platform staff is told so there."""
    if request.user.is_authenticated and not is_platform_staff(request.user):
        raise PermissionDenied("The admin is for platform staff.")
    return redirect(f"/login?next={quote(request.GET.get('next', '/admin/'))}")


class Logout(auth_views.LogoutView):
    """POST /logout"""

    http_method_names = ["post", "options"]


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Ask for the code; a person without a device sets one up here first."""
    user = cast(User, request.user)
    device = TOTPDevice.objects.filter(user=user, confirmed=True).first()
    is_setup = device is None
    if device is None:
        device, _ = TOTPDevice.objects.get_or_create(
            user=user, confirmed=False, defaults={"name": "authenticator"}
        )
    form = SecondFactorForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        allowed, _ = device.verify_is_allowed()
        if allowed and device.verify_token(form.cleaned_data["code"]):
            if is_setup:
                device.confirmed = True
                device.save(update_fields=["confirmed"])
            otp_login(request, device)
            request.session.cycle_key()  # what the session may do has grown, so its name changes
            return redirect(_next(request))
        form.add_error(
            "code", "That code is not right, or too many wrong ones were given. Wait for the next code."
        )
    context: dict[str, Any] = {"form": form, "is_setup": is_setup, "next": _next(request)}
    if is_setup:
        context |= {"secret_uri": device.config_url, "qr_svg": _qr(device.config_url)}
    return render(request, "tenants/second_factor.html", context, status=422 if form.errors else 200)


def _qr(uri: str) -> str:
    image = qrcode.make(uri, image_factory=qrcode.image.svg.SvgPathImage, box_size=12)
    return image.to_string(encoding="unicode")  # type: ignore[no-any-return]


def _next(request: HttpRequest) -> str:
    target = str(request.POST.get("next") or request.GET.get("next") or settings.LOGIN_REDIRECT_URL)
    if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        return target
    return str(settings.LOGIN_REDIRECT_URL)


def server_error(request: HttpRequest) -> HttpResponse:
    """Show people a fault of ours, with the request id that leads to the log."""
    return render(request, "500.html", {"request_id": getattr(request, "request_id", "")}, status=500)
