// An authorization server in Entra's address layout, for tests: node server.mjs SETTINGS.json
//
// oidc-provider does the protocol. Here: TLS, tenants, what is counted, what goes wrong on command,
// and who "sits at the browser". control.mjs is how the tests say so.

import { generateKeyPairSync, timingSafeEqual, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import { Adapter, clients, signingIn } from './adapter.mjs';
import * as entra from './entra.mjs';
import { control, note, takeFault } from './control.mjs';

const settings = JSON.parse(readFileSync(process.argv[2]));
const { Provider, errors } = await import(pathToFileURL(join(settings.modules, 'oidc-provider/lib/index.js')));
console.info = console.warn = () => {}; // it advises against everything a test server does

const base = `https://localhost:${settings.port}`;
const root = `/${entra.TENANT}/oauth2/v2.0`;
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = { ...keys.privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'ground' };
const { publicKey } = keys;
const settingsOf = (id) => clients.get(id)?.settings ?? {};
const seconds = (name, usual) => (ctx, token, client) => settingsOf(client?.clientId ?? token?.clientId)[name] ?? usual;

export const provider = new Provider(`${base}/${entra.TENANT}/v2.0`, {
  adapter: Adapter,
  jwks: { keys: [jwk] },
  cookies: { keys: ['ground'] },
  routes: {
    authorization: `${root}/authorize`,
    token: `${root}/token`,
    device_authorization: `${root}/devicecode`,
    code_verification: `${root}/deviceauth`,
    introspection: `${root}/introspect`,
    revocation: `${root}/revoke`,
    end_session: `${root}/logout`,
    jwks: `/${entra.TENANT}/discovery/v2.0/keys`,
    userinfo: '/oidc/userinfo',
  },
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  claims: { openid: Object.keys(entra.person('a@b')) },
  conformIdTokenClaims: false,
  findAccount: (ctx, id) => ({ accountId: id, claims: () => entra.person(id, settingsOf(ctx?.oidc?.client?.clientId)) }),
  extraTokenClaims: (ctx, token) => entra.tokenClaims(token, settingsOf(token.clientId)),
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  issueRefreshToken: (ctx, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  rotateRefreshToken: (ctx) => settingsOf(ctx.oidc.client.clientId).rotation !== 'none',
  pkce: { required: () => true },
  clockTolerance: 5,
  ttl: {
    AccessToken: seconds('access_ttl', 3600),
    ClientCredentials: seconds('access_ttl', 3600),
    DeviceCode: seconds('device_ttl', 900),
    RefreshToken: seconds('refresh_ttl', 90 * 86400),
    AuthorizationCode: 60,
    Grant: 90 * 86400,
    IdToken: 3600,
    Interaction: 600,
    Session: 3600,
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, client, oneOf) => oneOf?.[0] ?? entra.resourceOf((ctx.oidc.params.scope ?? '').split(' ')),
      useGrantedResource: () => true,
      getResourceServerInfo(ctx, resource, client) {
        if (!entra.RESOURCES[resource]) throw new errors.InvalidTarget();
        const { format, audience } = settingsOf(client.clientId);
        return {
          scope: entra.scopesOf(resource).join(' '),
          audience: audience ?? resource,
          accessTokenFormat: format ?? (resource === entra.mail ? 'opaque' : 'jwt'),
          jwt: { sign: { alg: 'RS256' } },
        };
      },
    },
  },
});

provider.Client.prototype.compareClientSecret = function compare(given) {
  return (clients.get(this.clientId)?.secrets ?? []).some((secret) => {
    const [a, b] = [Buffer.from(secret), Buffer.from(given)];
    return a.length === b.length && timingSafeEqual(a, b);
  });
};

// Why a request failed is in an event only; it decides Entra's number.
const details = new WeakMap();
for (const name of ['grant.error', 'device_authorization.error', 'introspection.error', 'revocation.error']) {
  provider.on(name, (ctx, error) => details.set(ctx, error.error_detail ?? ''));
}

// Codes that were asked for with the scopes of several services: Entra gives no token for them.
const mixed = new Set();

provider.use(async (ctx, next) => {
  await next();
  const { body, oidc } = ctx;
  if (entra.servicesOf((oidc?.params?.scope ?? '').split(' ')) > 1) {
    mixed.add(body?.device_code ?? new URLSearchParams((ctx.response.get('location') ?? '').split('?')[1]).get('code'));
  }
  if (body?.error) {
    ctx.body = entra.inTheirWords(body, details.get(ctx) ?? '');
  } else if (body?.access_token) {
    body.scope &&= entra.once(body.scope);
  } else if (body?.user_code) {
    delete body.verification_uri_complete; // Entra has none
    body.interval = settingsOf(oidc.client.clientId).interval ?? 1;
    body.message = `To sign in, open ${body.verification_uri} and enter the code ${body.user_code}.`;
    body.verification_uri = `${base}${root}/deviceauth`;
  }
});

// --------------------------------------------------------------------------- consent

export async function consent(clientId, accountId, scope, resource) {
  const grant = new provider.Grant({ accountId, clientId });
  const asked = (scope ?? '').split(' ');
  const { withhold = [], extra = [] } = settingsOf(clientId);
  const given = asked.filter((name) => !withhold.includes(name.split('/').pop()));
  grant.addOIDCScope(given.filter((name) => ['openid', 'offline_access', 'profile', 'email'].includes(name)).join(' ') || 'openid');
  const here = [...given, ...extra].filter((name) => entra.scopesOf(resource).includes(name));
  grant.addResourceScope(resource, [...here, ...entra.inFull(resource, here)].join(' ') || 'none');
  for (const [name, names] of entra.alsoAt(resource)) {
    grant.addResourceScope(name, names.filter((one) => !withhold.includes(one.split('/').pop())).join(' '));
  }
  return grant.save();
}

async function interaction(request, response) {
  const user = request.headers['x-ground-user'] ?? new URLSearchParams(request.body).get('user');
  if (!user) {
    response.setHeader('content-type', 'text/html');
    response.end('<form method=post>Sign in as <input name=user value=alice@ground.test><button>Go</button></form>');
    return;
  }
  const { params } = await provider.interactionDetails(request, response);
  if (user === 'nobody') {
    await provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'AADSTS65004: User declined to consent to access the app.' });
    return;
  }
  const resource = entra.resourceOf((params.scope ?? '').split(' '));
  const grantId = await consent(params.client_id, user, params.scope, resource);
  await provider.interactionFinished(request, response, { login: { accountId: user }, consent: { grantId } });
}

// --------------------------------------------------------------------------- introspection of a JWT

// oidc-provider introspects no structured token; a resource server without keys (Dovecot) needs it.
function introspected(token) {
  const [head, payload, signature] = token.split('.');
  const good = verify('sha256', Buffer.from(`${head}.${payload}`), publicKey, Buffer.from(signature ?? '', 'base64url'));
  if (!good) return { active: false };
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  const { pad, ...shown } = claims;
  return claims.exp > Date.now() / 1000 ? { active: true, ...shown } : { active: false };
}

// --------------------------------------------------------------------------- requests

const GRAPH_DEFAULT = encodeURIComponent('https://graph.microsoft.com/.default');

const json = (response, status, body, headers = {}) => {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
};

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function basic(request) {
  const found = /^Basic (.+)$/i.exec(request.headers.authorization ?? '');
  return found ? Buffer.from(found[1], 'base64').toString().split(':').map((part) => decodeURIComponent(part.replaceAll('+', ' '))) : [];
}

function assertionOf(form) {
  try {
    return JSON.parse(Buffer.from(form.get('client_assertion').split('.')[1], 'base64url')).sub;
  } catch {
    return undefined;
  }
}

// Who asks for what, and how they say who they are.
function about(request, path, query) {
  const form = new URLSearchParams(request.body);
  const id = basic(request)[0] ?? form.get('client_id') ?? assertionOf(form) ?? query.get('client_id') ?? '';
  let how = 'none';
  if (form.get('client_assertion')) how = 'private_key_jwt';
  else if (request.headers.authorization) how = 'client_secret_basic';
  else if (form.get('client_secret')) how = 'client_secret_post';
  const names = { token: `token:${(form.get('grant_type') ?? '').split(':').pop()}`, devicecode: 'device', keys: 'jwks', introspect: 'introspect', revoke: 'revoke', authorize: 'authorize', 'openid-configuration': 'discovery', 'oauth-authorization-server': 'discovery' };
  return { kind: names[path.split('/').filter(Boolean).pop()] ?? 'other', client: id, how, form };
}

async function goWrong(fault, request, response, asked) {
  if (fault.delay) await sleep(fault.delay * 1000);
  if (fault.cut) request.socket.destroy();
  else if (fault.echo) json(response, 400, { error: 'invalid_request', error_description: `You sent: ${request.body} ${request.headers.authorization ?? ''}` });
  else if (fault.aadsts) json(response, fault.status ?? 400, { error: fault.error, ...entra.aadsts(fault.aadsts, fault.text ?? '') });
  else if (fault.status) json(response, fault.status, fault.body ?? '', fault.headers);
  else return false;
  note(asked, response.statusCode);
  return true;
}

function discovery(response, tenant, asked, fault) {
  const ask = { issuer: fault?.issuer ?? entra.issuerFor(base, tenant) };
  const at = `${base}/${tenant === 'ground.test' ? entra.TENANT : tenant}`;
  note(asked, 200);
  json(response, 200, {
    ...ask,
    authorization_endpoint: `${at}/oauth2/v2.0/authorize`,
    token_endpoint: `${at}/oauth2/v2.0/token`,
    device_authorization_endpoint: `${at}/oauth2/v2.0/devicecode`,
    introspection_endpoint: `${at}/oauth2/v2.0/introspect`,
    revocation_endpoint: `${at}/oauth2/v2.0/revoke`,
    end_session_endpoint: `${at}/oauth2/v2.0/logout`,
    jwks_uri: `${at}/discovery/v2.0/keys`,
    response_types_supported: ['code', 'id_token'],
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    ...fault?.replace,
  });
}

const run = provider.callback();

async function handle(request, response) {
  // A Graph on this machine stands for Microsoft's: the default scope follows graph_url.
  request.body = (await read(request)).replace(/https%3A%2F%2Flocalhost%3A\d+%2F\.default/g, GRAPH_DEFAULT);
  const url = new URL(request.url, base);
  if (url.pathname.startsWith('/interaction/')) return interaction(request, response);
  // RFC 8414 puts the well-known part before the path, OpenID behind it.
  const path = url.pathname.replace(/^\/\.well-known\/oauth-authorization-server(\/.+)$/, '$1/.well-known/oauth-authorization-server');
  const [, name] = path.split('/');
  const asked = about(request, path, url.searchParams);
  const fault = takeFault(asked);
  if (fault && await goWrong(fault, request, response, asked)) return undefined;
  if (name !== 'oidc' && !entra.tenantOf(name)) {
    note(asked, 400);
    return json(response, 400, { error: 'invalid_tenant', ...entra.aadsts(90002, `Tenant '${name}' not found. Check to make sure you have the correct tenant ID.`) });
  }
  if (asked.kind === 'discovery') return discovery(response, name, asked, fault);
  if (asked.kind === 'introspect' && (asked.form.get('token') ?? '').split('.').length === 3) {
    const [id, secret] = basic(request);
    const known = clients.get(id)?.secrets.includes(secret);
    note(asked, known ? 200 : 401);
    return json(response, known ? 200 : 401, known ? introspected(asked.form.get('token')) : { error: 'invalid_client' });
  }
  if (asked.kind.startsWith('token') && clients.get(asked.client)?.expired.includes(asked.form.get('client_secret') ?? basic(request)[1])) {
    note(asked, 401);
    return json(response, 401, { error: 'invalid_client', ...entra.aadsts(7000222, 'The provided client secret keys are expired.') });
  }
  const named = asked.form.get('scope')?.split(' ') ?? [];
  const code = asked.form.get('code') ?? asked.form.get('device_code');
  if (asked.kind.startsWith('token') && (entra.servicesOf(named) > 1 || (!named.length && mixed.has(code)))) {
    const empty = asked.form.has('code');
    note(asked, 400);
    return json(response, 400, { error: empty ? 'invalid_request' : 'invalid_scope', ...(empty
      ? entra.aadsts(28003, 'Provided value for the input parameter scope cannot be empty when requesting an access token using the provided authorization code. Please specify a valid scope.')
      : entra.aadsts(28000, `Provided value for the input parameter scope is not valid because it contains more than one resource. Scope ${named.join(' ')} is not valid.`)) });
  }
  if (asked.kind === 'token:refresh_token' && named.some((one) => one.startsWith('https://'))) {
    asked.form.set('resource', entra.resourceOf(named));
    request.body = asked.form.toString();
  }
  if (asked.kind === 'authorize' && /offline_access/.test(url.searchParams.get('scope') ?? '')) url.searchParams.set('prompt', 'consent');
  request.url = path.replace(`/${name}/`, `/${entra.tenantOf(name) ?? name}/`) + (url.searchParams.size ? `?${url.searchParams}` : '');
  response.on('finish', () => note(asked, response.statusCode));
  if (fault?.lose) response.end = () => request.socket.destroy(); // done, and nobody hears of it
  return signingIn.run(asked, () => run(request, response));
}

createServer({ key: readFileSync(settings.key), cert: readFileSync(settings.cert) }, (request, response) => {
  handle(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) json(response, 500, { error: 'server_error' });
  });
}).listen(settings.port, '127.0.0.1', () => control(settings, { provider, consent, resourceOf: entra.resourceOf }));
