"""A payment link's address: a checkout session of one's own, or the word that the link is closed."""

from settld.stripe_simulator.forms import Form
from settld.stripe_simulator.pages import html
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import payment_links
from settld.stripe_simulator.wire import Answer
from settld.stripe_simulator.world import World


def visit(world: World, link_id: str, form: Form) -> Answer:
    """Opens a session for each visit, as Stripe does; what the query says is ignored."""
    Params(form, allowed=form.keys())
    link = payment_links.find(world, link_id)
    if not link["active"]:
        message = link["inactive_message"] or "This link is no longer active."
        return html.notice(title="This link has been deactivated", message=message, status=410)
    return html.redirect(f"/c/pay/{payment_links.open_session(world, link)['id']}")
