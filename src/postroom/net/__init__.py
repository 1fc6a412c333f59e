"""The door out: names, addresses, dialling and TLS.  Every socket that leaves is opened here.

``names`` makes a host canonical, ``addresses`` says what may be dialled, ``dial`` connects,
``tls`` verifies (or looks at a certificate without trusting it), and ``destination`` writes the
canonical line a secret is bound to.
"""

__all__: list[str] = []
