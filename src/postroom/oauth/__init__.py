"""OAuth, pure: every flow as steps that ask for requests and are sent the answers.

    steps        Ask, Wait, Answer: how a flow and its pump talk
    discovery    where the endpoints are (RFC 8414, OpenID Connect, Entra's tenants), pinned
    client       which secret, or which certificate (assertion), proves the client
    tokens       client credentials, refresh with rotation, exchange of a code, revocation
    device       the device flow (RFC 8628)
    code         PKCE, state, redirect and callback of the authorization code flow
    claims       what tokens say of themselves, and how far that is believed
    identity     who signed in, held against who was expected
    scopes       defaults, what is refused when saved, what was granted
    failures     the server's refusal as an error of ours, by the tables of refusals/
    guide        how an app is registered, as data

Nothing here opens a socket, a file or a table, reads a clock, or reveals a secret: requests carry
Secrets, and whoever writes them to the wire reveals them.  A flow is a generator::

    flow = client_credentials(client, endpoints, scopes, at=now)
    step = next(flow)            # an Ask or a Wait
    step = flow.send(answer)     # an Answer for an Ask, None for a Wait
    ...                          # StopIteration.value is the TokenGrant

All errors are of the one tree.  ``sign_in_required`` is said only when a refresh token was refused for
certain; everything that may pass is ``temporary``.
"""

__all__: list[str] = []
