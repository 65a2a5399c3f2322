"""The laptop's ProxyCommand, where jupyter_dlenv is installed there; no engine is asked."""

from __future__ import annotations

import click

from .invocation import Invocation, common_options, pass_invocation


@click.command("ssh-proxy")
@click.argument("url")
@click.argument("name")
@click.option("--token-file", default="", metavar="FILE", help="A file that only you can read.")
@click.option("--token-command", default="", metavar="CMD", help="A program that prints the token.")
@click.option("--store-token", is_flag=True, help="Ask for the token, and keep it for URL's host.")
@click.option("--plain", is_flag=True, help="Send the token unencrypted (http:// to elsewhere).")
@common_options
@pass_invocation
def ssh_proxy(
    invocation: Invocation,
    url: str,
    name: str,
    token_file: str,
    token_command: str,
    store_token: bool,
    plain: bool,
) -> int:
    r"""Carry SSH through a Jupyter server of which only the URL is known.

    For ssh_config on a laptop; the token is never an argument, where others could read it.

    \b
    jupyter dlenv ssh-proxy https://hub.example.org/user/me/ bert --store-token
    ssh -o ProxyCommand='jupyter dlenv ssh-proxy https://hub.example.org/user/me/ bert' bert
    """
    if invocation.json:
        raise click.UsageError("A ProxyCommand speaks SSH, which is no JSON.")
    # Imported here: the one program that works without the rest.
    from ..access import ssh_proxy as program  # noqa: PLC0415

    arguments = [url, name]
    for option, value in (("--token-file", token_file), ("--token-command", token_command)):
        arguments += [option, value] if value else []
    for option, wanted in (("--store-token", store_token), ("--plain", plain)):
        arguments += [option] if wanted else []
    return program.main(arguments)
