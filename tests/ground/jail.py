"""A jail for a server whose package conflicts with one of ours: a root of its own (chroot)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.ground.daemons import RunFolder, unavailable
from tests.ground.handed import hand_out, unique
from tests.ground.users import DOMAIN, Account, User, service_account

__all__ = ["Jail"]

# Where scripts/second-servers has unpacked the packages.
_UNPACKED = Path(__file__).parents[2] / ".servers"
_BESIDE = ("authorization", "node")


def _not_unpacked(folder: str, names: list[str]) -> list[str]:
    """What lies beside the unpacked packages and is none of a jail's."""
    return [name for name in names if Path(folder) == _UNPACKED and name in _BESIDE]


class Jail:
    """A copy of the unpacked packages with an /etc/passwd of its own, and people in /home.

    In it the compiled-in paths of a server (/etc/courier, /run/courier) are ours, the accounts it
    insists on exist, and nothing of the machine's can be found. It shares the machine's network.
    """

    def __init__(self, run: RunFolder, name: str, program: str, accounts: tuple[str, ...]) -> None:
        """Make the jail (about 30 ms). `accounts` are names that the server looks up.

        Raises Unavailable without root, or where `program` has not been unpacked.
        """
        if not (_UNPACKED / program).exists():
            raise unavailable(f"{name} is not unpacked: run scripts/test-packages on Debian")
        if os.getuid() != 0:
            raise unavailable(f"{name} runs in a root of its own (chroot): run these tests as root")
        self._run = run
        self.account: Account = service_account()
        self.root = run.path / name.lower()
        shutil.copytree(_UNPACKED, self.root, symlinks=True, ignore=_not_unpacked)
        self.root.chmod(0o755)
        self._furnish(accounts)
        self.folder("home")

    def _furnish(self, accounts: tuple[str, ...]) -> None:
        uid, gid = self.account.uid, self.account.gid
        people = {"root": (0, 0)} | dict.fromkeys((*accounts, self.account.name), (uid, gid))
        groups = people | {self.account.group: (0, gid)}
        self.file(
            "etc/passwd",
            "".join(f"{who}:x:{u}:{g}::/:/bin/false\n" for who, (u, g) in people.items()),
        )
        self.file("etc/group", "".join(f"{who}:x:{g}:\n" for who, (_, g) in groups.items()))
        self.file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
        self.file("etc/hosts", f"127.0.0.1 localhost mail.{DOMAIN}\n")
        # A file in its place: what is written there goes with the run folder.
        self.file("dev/null", "").chmod(0o666)
        (self.root / "tmp").mkdir()
        (self.root / "tmp").chmod(0o1777)

    def folder(self, path: str, mode: int = 0o755) -> Path:
        """Make a folder in the jail that the server's account owns."""
        made = self.root / path
        made.mkdir(parents=True, exist_ok=True)
        os.chown(made, self.account.uid, self.account.gid)
        made.chmod(mode)
        return made

    def file(self, path: str, text: str, *, secret: bool = False) -> Path:
        """Write a file in the jail, whole at every moment.

        It is root's and for all to read, or, if it is secret, for the server's account alone.
        """
        made = self.root / path
        made.parent.mkdir(parents=True, exist_ok=True)
        draft = made.with_name(made.name + ".draft")
        draft.write_text(text)
        draft.chmod(0o600 if secret else 0o644)
        if secret:
            os.chown(draft, self.account.uid, self.account.gid)
        draft.rename(made)
        return made

    def person(self, name: str, password: str | None = None) -> User:
        """A home for somebody; the server must still be told of them."""
        home = self.folder(f"home/{name}")
        password = hand_out(password or unique(f"pw-{name}"))
        return User(f"{name}@{DOMAIN}", password, home / "Maildir")

    def start(self, argv: list[str], log: str, environment: dict[str, str] | None = None) -> None:
        """Start a program in the jail as its root, with this environment alone."""
        self._run.start(self._inside(argv, environment), self.root / log)

    def run(self, argv: list[str], given: str) -> None:
        """Run a program in the jail to its end; `given` is its standard input."""
        done = subprocess.run(self._inside(argv), input=given, text=True, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"{argv} ended with {done.returncode}: {done.stderr}")

    def _inside(self, argv: list[str], environment: dict[str, str] | None = None) -> list[str]:
        variables = {"PATH": "/usr/sbin:/usr/bin", **(environment or {})}
        settings = [f"{name}={value}" for name, value in variables.items()]
        chroot = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin") or "chroot"
        return ["/usr/bin/env", "-i", *settings, chroot, str(self.root), *argv]
