"""The lints: rules of the house that a syntax tree can show, as sentences with a place."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from tests.unit.house.tree import Function, Module

__all__ = ["banned_names", "built_sql", "own_sockets", "reveals", "third_party", "ways_out"]

_SOCKETS = {
    "socket.socket", "socket.create_connection", "socket.socketpair", "socket.fromfd",
    "asyncio.open_connection", "asyncio.open_unix_connection",
    "ssl.SSLContext", "ssl.create_default_context", "ssl.wrap_socket", "ssl.get_server_certificate",
}  # fmt: skip
"""Calls that open a way out or make a TLS context."""

_LOOP_METHODS = {
    "create_connection", "create_unix_connection", "create_datagram_endpoint", "sock_connect",
}  # fmt: skip
"""Methods of an event loop that do, on whatever name the loop has."""

_WEAK = re.compile(r"ssl\.(CERT_NONE|CERT_OPTIONAL|_create\w+|VerifyMode\.CERT_NONE)")

_CLIENTS = {
    "aiohttp", "anyio", "ftplib", "http.client", "httpcore", "httpcore2", "httpx", "httpx2",
    "imaplib", "imapclient", "aioimaplib", "aiosmtplib", "niquests", "poplib", "pycurl", "requests",
    "smtplib", "telnetlib", "truststore", "urllib.request", "urllib3", "websockets", "xmlrpc",
}  # fmt: skip
"""Libraries that open sockets of their own."""

_SQL_VERBS = {"all", "execute", "insert", "many", "one", "value"}

_SQL_MAKERS = {"postroom.db.Queue", "postroom.db.claims.Queue"}
"""Classes that put their arguments into statements: those must be constants too."""


def ways_out(module: Module) -> Iterator[str]:
    """Every place that opens a socket, makes a TLS context or loads a client library."""
    for call in module.calls():
        name = module.dotted(call.func)
        method = name.rpartition(".")[2] if isinstance(call.func, ast.Attribute) else ""
        upgrade = method == "start_tls" and re.search(r"(loop|\?|writer)\.start_tls$", name)
        # With sock= the loop only adopts a socket that net/ has opened.
        dials = method in _LOOP_METHODS and not any(k.arg == "sock" for k in call.keywords)
        if name in _SOCKETS or dials or upgrade:
            yield f"{module.at(call)}: {name}() opens a way out; only net/ does that"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name | ast.Attribute) and _WEAK.fullmatch(module.dotted(node)):
            yield f"{module.at(node)}: {module.dotted(node)} belongs to net/ alone"
    for node, name in module.imports():
        # ``from http import client`` and ``import http.client`` are both ``http.client``
        if any((name + ".").startswith(client + ".") for client in _CLIENTS):
            yield f"{module.at(node)}: {name} opens sockets of its own; go through net/"


def own_sockets(module: Module) -> Iterator[str]:
    """Places, in net/ too, where httpcore2 would open its own sockets or nobody would verify."""
    for call in module.calls():
        name, given = (
            module.dotted(call.func),
            {keyword.arg: keyword.value for keyword in call.keywords},
        )
        pool = re.fullmatch(
            r"httpcore2\.\w*(Pool|Proxy|Connection|Backend)|httpcore2\.(request|stream)", name
        )
        if pool and "network_backend" not in given:
            yield f"{module.at(call)}: {name}() without our network_backend opens its own sockets"
        for word in ("verify", "trust_env", "follow_redirects"):
            value = given.get(word)
            if isinstance(value, ast.Constant) and value.value is (word != "verify"):
                yield f"{module.at(call)}: {word}={value.value}; nothing here asks that way"


def reveals(module: Module) -> Iterator[str]:
    """Every mention of ``.reveal`` and ``.reveal_bytes``, called or handed on."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in ("reveal", "reveal_bytes"):
            yield module.at(node)


def built_sql(module: Module) -> Iterator[str]:
    """SQL that is put together at run time.

    A statement is a string, or a name in capitals that stands for one at the top of a module (or
    for a table of them), or a choice between such names.
    """
    for scope in [module.tree, *module.functions()]:
        for call in _own_calls(scope):
            maker = module.dotted(call.func) in _SQL_MAKERS
            texts = _arguments(call) if maker else _statement(call)
            if not all(_is_constant(sql, scope) for sql in texts):
                yield (
                    f"{module.at(call)}: this SQL is built when it runs;"
                    " write it as one text with named parameters"
                )
    for node in module.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and _is_sql(node.value) and not target.id.isupper():
                yield f"{module.at(node)}: {target.id} holds SQL; write its name in capitals"


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _statement(call: ast.Call) -> list[ast.expr]:
    """The first argument of a call on a transaction; empty for any other call."""
    func = call.func
    if not isinstance(func, ast.Attribute) or func.attr not in _SQL_VERBS:
        return []
    holder = func.value
    name = holder.id if isinstance(holder, ast.Name) else getattr(holder, "attr", "")
    if name.strip("_") != "tx":
        return []
    return call.args[:1] + [keyword.value for keyword in call.keywords if keyword.arg == "sql"]


def _own_calls(scope: ast.Module | Function) -> Iterator[ast.Call]:
    """Calls of a scope, without those of the functions inside it."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting.extend(ast.iter_child_nodes(node))


def _is_constant(node: ast.expr, scope: ast.Module | Function) -> bool:
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.Attribute):
        return node.attr.isupper()
    if isinstance(node, ast.Subscript):
        return _is_constant(node.value, scope)
    if isinstance(node, ast.IfExp):
        return _is_constant(node.body, scope) and _is_constant(node.orelse, scope)
    if isinstance(node, ast.Name):
        return node.id.isupper() or _always_constant(node.id, scope)
    return False


def _always_constant(name: str, scope: ast.Module | Function) -> bool:
    """True if every value the local name gets is a constant text."""
    values: list[ast.expr] = []
    for node in ast.walk(scope):
        if isinstance(node, ast.AugAssign) and ast.unparse(node.target) == name:
            return False
        if isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets):
            values.append(node.value)
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name and node.value:
            values.append(node.value)
        if isinstance(node, ast.For | ast.AsyncFor) and ast.unparse(node.target) == name:
            table = node.iter
            values.extend(table.elts if isinstance(table, ast.Tuple | ast.List) else [table])
    return bool(values) and all(
        not (isinstance(value, ast.Name) and value.id == name) and _is_constant(value, scope)
        for value in values
    )


def _is_sql(node: ast.expr) -> bool:
    words = r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s"
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.match(words, node.value) is not None
    )


def banned_names(module: Module, banned: Collection[str]) -> Iterator[str]:
    """Parts of a module's name that say nothing of its job."""
    for part in module.name.split("."):
        if part.strip("_") in banned:
            yield f"{module.file}: {part} says nothing of its job; name it by the glossary"


def third_party(module: Module, standard: Collection[str]) -> Iterator[str]:
    """Top names of the third-party packages a module imports."""
    for _, name in module.imports():
        top = name.partition(".")[0]
        if top not in standard and top not in {"postroom", "__future__"}:
            yield top
