"""``stagedoor check``: what the allowlist says of an address."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from stagedoor.access.addresses import normalized
from stagedoor.access.allowlist import Allowlist
from stagedoor.access.decision import Refusal, decide_request
from stagedoor.access.openness import openness
from stagedoor.console import print_paragraph
from stagedoor.errors import ConfigurationError
from stagedoor.settings.settings import Settings


def check_address(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Say whether an address is on the allowlist, and why."""
    settings = Settings.read(switch="memory", allow=arguments.allow, environ=environ)
    address = normalized(arguments.address)
    if address is None:
        remedy = 'Write one in numbers, without port, network or zone, such as "203.0.113.7" or "2001:db8::7".'
        raise ConfigurationError("ADDRESS", arguments.address, "is not one IPv4 or IPv6 address", remedy)
    by_token = settings.select == "token"
    if by_token:
        print_paragraph(
            'Requests from any address match if they carry the window\'s token or a pass over https (select is "token").'
            " The allowlist is for the debug port alone."
        )
        print()
    if not settings.allow:
        print_paragraph(
            "Refused: nobody is allowed here, because STAGEDOOR_ALLOW is not set. The application may have an allow=..."
            " of its own, which this command can't see: give the same with --allow."
        )
        return 1
    decision = decide_request(address, settings.allow, token="")
    for doubt in openness(settings.allow, only_port=by_token):
        print_paragraph(f"Warning: {doubt}")
        print()
    if isinstance(decision, Refusal):
        print_paragraph(f"Refused: {decision.sentence}.")
        return 1
    entry = next(entry for entry in settings.allow if address in Allowlist([entry]))
    what = "Whoever attaches from there" if by_token else "Its requests"
    token = f" {what} must carry the window's token or a pass too (require_token)." if settings.require_token else ""
    print_paragraph(f"Allowed: {address} is on the allowlist, by {entry}.{token}")
    return 0
