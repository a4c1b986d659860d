"""The one place that talks to Stripe, and the one door through which Stripe talks to us."""
