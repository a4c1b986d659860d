"""Forms of the login pages."""

from django import forms


class SecondFactorForm(forms.Form):
    """Six digits from an authenticator app."""

    code = forms.RegexField(
        regex=r"^\s*\d{3}\s?\d{3}\s*$",
        label="Code",
        max_length=8,
        error_messages={"invalid": "Enter the six digits that your authenticator app shows."},
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True}
        ),
    )

    def clean_code(self) -> str:
        """Drop the blanks that people type."""
        return "".join(str(self.cleaned_data["code"]).split())
