"""An authorization server in Entra's address layout (oidc-provider on Node), and what tests tell it."""

from __future__ import annotations

import base64
import hashlib
import http.cookiejar
import itertools
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.ground.daemons import RunFolder, unavailable
from tests.ground.handed import hand_out, unique
from tests.ground.pki import Pki
from tests.ground.users import DOMAIN

__all__ = [
    "GRAPH",
    "MAIL",
    "OUTLOOK",
    "TENANT",
    "AuthorizationServer",
    "Client",
    "public_jwk",
]

TENANT = "11111111-2222-4333-8444-555555555555"
"""The one tenant. `common`, `organizations`, `consumers` and `ground.test` lead to it too."""

GRAPH = "https://graph.microsoft.com"
OUTLOOK = "https://outlook.office365.com"
MAIL = "mail"
"""The scope of a server that is not Microsoft's; its tokens are opaque."""

_FILES = Path(__file__).with_name("authorization")
# Where scripts/authorization-server installs what package-lock.json names.
_INSTALLED = Path(__file__).parents[2] / ".servers" / "authorization"
_OLDEST_NODE = 20
_START_SECONDS = 30.0
_INTROSPECTOR = "introspector"


@dataclass(frozen=True, slots=True)
class Client:
    """An app that is registered: its id and the secrets it may use, the oldest first."""

    id: str
    secrets: tuple[str, ...]

    @property
    def secret(self) -> str:
        """The newest secret."""
        return self.secrets[-1]


class AuthorizationServer:
    """`https://localhost:PORT/TENANT/...`, its certificate by the ground's CA.

    Apps sign in with a secret (form or Basic), a certificate (private_key_jwt) or, where `public`,
    with nothing. It gives out tokens by client credentials, device code, authorization code with
    PKCE and refresh token. Tokens for Graph and Exchange are JWTs with Entra's claims, for `mail`
    opaque; both can be introspected.

    Each test makes its own `client`, whose settings, counts and faults are its own too.
    """

    def __init__(self, run: RunFolder, pki: Pki) -> None:
        """Start it (about a second).  Raises Unavailable without Node or the installed packages."""
        node = _node()
        folder = run.path / "authorization"
        folder.mkdir(mode=0o700)
        ports = run.ports(("port", "control"))
        self.port, self._control = ports["port"], ports["control"]
        self.log = folder / "log"
        self._context = pki.client_context()
        self._numbers = itertools.count(1)
        settings = {
            **ports,
            "modules": str(_INSTALLED / "node_modules"),
            "key": str(pki.pairs["good"].key),
            "cert": str(pki.pairs["good"].cert),
        }
        file = folder / "settings.json"
        file.write_text(json.dumps(settings))
        run.start([node, str(_FILES / "server.mjs"), str(file)], self.log)
        self._wait(run)
        # Dovecot's configuration wants it in an address, where no sign may need an escape.
        self.introspector = self.client(_INTROSPECTOR, secrets=[f"secret-of-{_INTROSPECTOR}"])

    # ------------------------------------------------------------------- addresses

    @property
    def url(self) -> str:
        """`https://localhost:PORT`."""
        return f"https://localhost:{self.port}"

    @property
    def issuer(self) -> str:
        """What its tokens and its discovery document name."""
        return f"{self.url}/{TENANT}/v2.0"

    def authority(self, tenant: str = TENANT) -> str:
        """What a person types as authority."""
        return f"{self.url}/{tenant}"

    def endpoint(self, name: str, tenant: str = TENANT) -> str:
        """The address of `token`, `devicecode`, `authorize`, `introspect` or `revoke`."""
        return f"{self.url}/{tenant}/oauth2/v2.0/{name}"

    # ------------------------------------------------------------------- apps

    def client(
        self,
        id: str = "",
        *,
        secrets: Sequence[str] = (),
        expired: Sequence[str] = (),
        certificates: Sequence[x509.Certificate] = (),
        redirect_uris: Sequence[str] = (),
        **settings: Any,
    ) -> Client:
        """Register an app; without an id and secrets it gets new ones.

        `settings`: `public` (may sign in without a secret), `mailbox` (whose mail its own tokens
        open; default app@ground.test), `roles` (of its own tokens; `[]` as with RBAC for
        Applications), `rotation` (`lenient`, the default and Entra's: a new refresh token, the old
        goes on working; `strict`: the old one ends the sign-in; `none`: the same again),
        `access_ttl`, `refresh_ttl`, `device_ttl` (seconds), `interval` (seconds between polls,
        default 1), `format` (`jwt` or `opaque`), `pad` (so many more characters in its JWTs),
        `withhold` (scopes that are not granted), `extra` (scopes that are granted unasked),
        `audience` (another one than was asked for), `tid` (another tenant's id in its tokens),
        `groups` (of everybody who signs in, in the id token).
        """
        number = next(self._numbers)
        name = id or f"app-{number}"
        given = tuple(map(hand_out, secrets or (unique(f"secret-of-{name}"),)))
        self._tell(
            "client",
            id=name,
            secrets=list(given),
            expired=list(expired),
            keys=[public_jwk(certificate) for certificate in certificates],
            redirect_uris=list(redirect_uris),
            settings={"mailbox": f"app@{DOMAIN}", "rotation": "lenient"} | settings,
        )
        return Client(name, given)

    def change(
        self,
        client: Client,
        *,
        secrets: Sequence[str] | None = None,
        expired: Sequence[str] | None = None,
        **settings: Any,
    ) -> None:
        """Change the settings or the secrets of an app; what is not named stays."""
        for each in (*(secrets or ()), *(expired or ())):
            hand_out(each)
        self._tell("change", id=client.id, secrets=secrets, expired=expired, settings=settings)

    # ------------------------------------------------------------------- people

    def approve(self, user_code: str, user: str) -> None:
        """Somebody types that code, signs in as that address, and agrees."""
        self._tell("approve", user_code=user_code, user=user)

    def deny(self, user_code: str) -> None:
        """Somebody types that code and says no."""
        self._tell("deny", user_code=user_code)

    def visit(self, address: str, user: str, *, attempts: int = 10) -> str:
        """A browser opens the authorization address and signs in; gives where it is sent then.

        The address it ends at (the redirect URI with code and state) is not opened. `nobody` says no.
        """
        jar = http.cookiejar.CookieJar()
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=self._context),
            urllib.request.HTTPCookieProcessor(jar),
            _Unmoved,
        )
        for _ in range(attempts):
            request = urllib.request.Request(address, headers={"X-Ground-User": user})
            try:
                with opener.open(request, timeout=10) as answer:
                    raise AssertionError(f"no redirect: {answer.status} {answer.read(500)!r}")
            except urllib.error.HTTPError as moved:
                if moved.code not in (302, 303):
                    raise AssertionError(f"{moved.code} {moved.read(500)!r}") from None
                address = urllib.parse.urljoin(address, moved.headers["Location"])
            if not address.startswith(self.url):
                return address
        raise AssertionError("the browser is sent from one page to the next without end")

    def sign_out(self, user: str, client: Client | None = None) -> int:
        """An administrator ends somebody's sign-ins; gives how many records went.

        Refresh tokens and opaque tokens end at once, JWTs with their time.
        """
        return int(self._tell("signout", user=user, client=client.id if client else None))

    # ------------------------------------------------------------------- faults

    def fault(
        self, kind: str, *, client: Client | None = None, times: int = 1, **what: Any
    ) -> None:
        """The next requests of that kind go wrong: of this client, or of anyone.

        `kind`: `token` (any), `token:refresh_token`, `token:client_credentials`,
        `token:device_code`, `token:authorization_code`, `device`, `discovery`, `jwks`, `introspect`,
        `revoke`, `authorize`.

        `what`: `status` with `headers` and `body` (text, or something to write as JSON); `aadsts`
        (a number) with `error` and `text`: Entra's error; `echo=True`: an error that repeats the
        request with its secrets; `delay` (seconds, then as usual or with another of these);
        `cut=True`: the connection ends unanswered; `lose=True`: done, but the answer is lost;
        of discovery `issuer` and `replace` (fields of the document).
        """
        self._tell("fault", kind=kind, times=times, client=client.id if client else None, **what)

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self._tell("mend")

    def counts(self, client: Client | None = None) -> dict[str, int]:
        """How many requests of each kind came, of this client or of all; faults count too."""
        found: dict[str, int] = self._tell("counts", client=client.id if client else None)
        return found

    def seen(self, client: Client | None = None) -> list[dict[str, Any]]:
        """The requests in order: `kind`, `client`, `how` it signed in, `status` of the answer."""
        found: list[dict[str, Any]] = self._tell("seen", client=client.id if client else None)
        return found

    # ------------------------------------------------------------------- asking it

    def ask(self, address: str, fields: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """One request of the test's own (POST of a form, or GET): status and JSON."""
        data = urllib.parse.urlencode(fields).encode() if fields is not None else None
        request = urllib.request.Request(address, data)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=self._context),
            _Unmoved,
        )
        try:
            with opener.open(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def app_token(self, client: Client, scope: str = f"{OUTLOOK}/.default") -> str:
        """An access token of the app itself."""
        asked = {
            "grant_type": "client_credentials",
            "client_id": client.id,
            "client_secret": client.secret,
            "scope": scope,
        }
        status, found = self.ask(self.endpoint("token"), asked)
        assert status == 200, found
        return str(found["access_token"])

    def _tell(self, what: str, **asked: Any) -> Any:
        data = json.dumps({key: value for key, value in asked.items() if value is not None})
        request = urllib.request.Request(f"http://127.0.0.1:{self._control}/{what}", data.encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def _wait(self, run: RunFolder) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._tell("ready")
                return
            except OSError:
                run.check_alive()
                if time.monotonic() > deadline:
                    raise RuntimeError("the authorization server does not start") from None
                time.sleep(0.02)


class _Unmoved(urllib.request.HTTPRedirectHandler):
    """A redirect is the answer."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


def _node() -> str:
    """The path of Node.  Raises Unavailable."""
    node = shutil.which("node")
    installed = _INSTALLED / "node_modules" / "oidc-provider"
    if node is None or not installed.exists():
        raise unavailable(
            "The authorization server is not installed: run scripts/test-packages, which needs "
            f"Node.js {_OLDEST_NODE} or later with npm"
        )
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = said.strip().lstrip("v").partition(".")[0]
    if not version.isdigit() or int(version) < _OLDEST_NODE:
        raise unavailable(f"The authorization server needs Node.js {_OLDEST_NODE}, not {said}")
    return node


def public_jwk(certificate: x509.Certificate) -> dict[str, str]:
    """The RSA key of a certificate as a JWK (RFC 7517), named by its thumbprint."""
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    numbers = key.public_numbers()
    return {
        "kty": "RSA",
        "use": "sig",
        "n": _base64url(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")),
        "e": _base64url(numbers.e.to_bytes(3, "big")),
        "x5t#S256": _base64url(certificate.fingerprint(hashes.SHA256())),
        "kid": hashlib.sha256(certificate.fingerprint(hashes.SHA256())).hexdigest()[:16],
    }


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
