"""How the Django admin looks."""

UNFOLD = {
    "SITE_TITLE": "Settld admin",
    "SITE_HEADER": "Settld",
    "SITE_SYMBOL": "account_balance",
    "SITE_URL": "/console",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "COLORS": {
        "primary": {
            "50": "oklch(97.7% .013 180)",
            "100": "oklch(94.6% .033 180)",
            "200": "oklch(89.5% .06 180)",
            "300": "oklch(81.5% .09 182)",
            "400": "oklch(70.4% .11 182)",
            "500": "oklch(60% .11 184)",
            "600": "oklch(51.1% .096 186)",
            "700": "oklch(43.7% .078 188)",
            "800": "oklch(38.6% .063 188)",
            "900": "oklch(34.4% .05 189)",
            "950": "oklch(25.5% .04 190)",
        }
    },
    "SIDEBAR": {"show_search": True, "show_all_applications": False},
}
