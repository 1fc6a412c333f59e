// What makes it look like Entra: tenants, resources, claims, and the numbers in its errors.

import { createHash } from 'node:crypto';

export const TENANT = '11111111-2222-4333-8444-555555555555';
const DOMAIN = 'ground.test';
const ALIASES = new Set(['common', 'organizations', 'consumers', DOMAIN]);
const PLAIN = ['openid', 'offline_access', 'profile', 'email'];
export const APP_ROLES = [
  'Mail.Read', 'Mail.ReadWrite', 'Mail.Send', 'IMAP.AccessAsApp', 'POP.AccessAsApp', 'SMTP.SendAsApp',
];
const GRAPH = [
  'Mail.Read', 'Mail.ReadWrite', 'Mail.Send', 'Mail.Read.Shared', 'Mail.ReadWrite.Shared',
  'Mail.Send.Shared', 'User.Read', '.default',
];
const WIRES = ['IMAP.AccessAsUser.All', 'POP.AccessAsUser.All', 'SMTP.Send', '.default'];
export const RESOURCES = {
  'https://graph.microsoft.com': GRAPH,
  'https://outlook.office365.com': WIRES,
  'https://outlook.office.com': WIRES,
  [`https://mail.${DOMAIN}`]: ['mail'],
};

export const mail = `https://mail.${DOMAIN}`;

export const tenantOf = (name) => (name === TENANT || ALIASES.has(name) ? TENANT : undefined);

// The issuer that discovery names: of an alias for many tenants a pattern, as Entra's is.
export function issuerFor(base, name) {
  return `${base}/${name === TENANT || name === DOMAIN ? TENANT : '{tenantid}'}/v2.0`;
}

// The resource that the scopes of a request mean, as Entra finds it.
export function resourceOf(scopes) {
  for (const scope of scopes) {
    if (/^https:\/\//.test(scope)) return scope.slice(0, scope.lastIndexOf('/'));
    if (scope === 'mail') return mail;
    if (!PLAIN.includes(scope)) return 'https://graph.microsoft.com';
  }
  return scopes.includes('offline_access') && !scopes.includes('openid') ? mail : 'https://graph.microsoft.com';
}

// How many services scopes are of: Entra gives a token for one.
export const servicesOf = (scopes) => new Set(scopes.filter((scope) => scope && !PLAIN.includes(scope)).map((scope) => resourceOf([scope]))).size;

export function scopesOf(resource) {
  const names = RESOURCES[resource] ?? [];
  return [...names, ...names.map((name) => `${resource}/${name}`)];
}

// The other resources of Microsoft's and their scopes, in full: [[resource, scopes], ...].
export function alsoAt(resource) {
  if (resource === mail) return [];
  return Object.keys(RESOURCES)
    .filter((name) => name !== resource && name !== mail)
    .map((name) => [name, RESOURCES[name].map((scope) => `${name}/${scope}`)]);
}

// Scopes that were asked for by their bare names, in full.
export const inFull = (resource, names) => names.filter((name) => RESOURCES[resource]?.includes(name)).map((name) => `${resource}/${name}`);

// The bare names, each once.
const bare = (scope) => [...new Set((scope ?? '').split(' ').map((name) => name.split('/').pop()).filter((name) => name && name !== '.default'))];

// A scope once, in the form it comes in first.
export function once(scope) {
  const names = new Set();
  return scope.split(' ').filter((one) => !names.has(one.split('/').pop()) && names.add(one.split('/').pop())).join(' ');
}

export function oid(address) {
  const hex = createHash('sha256').update(address).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

// The claims of somebody, for id tokens.
export function person(address, settings = {}) {
  return {
    sub: address,
    oid: oid(address),
    tid: settings.tid ?? TENANT,
    preferred_username: address,
    upn: address,
    email: address,
    name: address.split('@')[0],
    groups: settings.groups ?? [],
  };
}

// The claims of an access token beside the standard ones.
export function tokenClaims(token, settings) {
  const shared = { tid: settings.tid ?? TENANT, appid: token.clientId, ver: '2.0' };
  if (settings.pad) shared.pad = 'x'.repeat(settings.pad);
  if (settings.audience) shared.wanted_audience = settings.audience;
  if (token.kind === 'ClientCredentials') {
    const roles = settings.roles ?? APP_ROLES;
    return { ...shared, idtyp: 'app', email: settings.mailbox, ...(roles.length ? { roles } : {}) };
  }
  return {
    ...shared,
    oid: oid(token.accountId),
    upn: token.accountId,
    email: settings.mailbox_of_person ?? token.accountId,
    scp: bare(token.scope).join(' '),
  };
}

// oidc-provider's errors -> what Entra says: [pattern over "error error_detail", number, text, error].
const ERRORS = [
  [/^invalid_client.*client not found/, 700016, 'Application with that identifier was not found in the directory.', 'unauthorized_client'],
  [/^invalid_client.*does not match/, 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."],
  [/^invalid_client.*secret/, 7000215, 'Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.'],
  [/^invalid_client/, 700027, 'The certificate with identifier used to sign the client assertion is not registered on application.'],
  [/^authorization_pending/, 70016, 'OAuth 2.0 device flow error. Authorization is pending. Continue polling.'],
  [/^expired_token/, 70020, 'The provided value for the input parameter device_code is not valid. The code has expired.'],
  [/^access_denied/, 65004, 'User declined to consent to access the app.'],
  [/^invalid_grant.*(expired|not found)/, 700082, 'The refresh token has expired due to inactivity.'],
  [/^invalid_grant/, 70000, 'The provided grant is invalid or malformed.'],
  [/^invalid_target/, 500011, 'The resource principal was not found in the tenant.', 'invalid_resource'],
  [/^invalid_scope/, 70011, 'The provided value for the input parameter scope is not valid.'],
];

export function aadsts(number, text) {
  return {
    error_description: `AADSTS${number}: ${text} Trace ID: 0 Correlation ID: 0 Timestamp: ${new Date().toISOString()}`,
    error_codes: [number],
    timestamp: new Date().toISOString(),
    trace_id: '00000000-0000-0000-0000-000000000000',
    correlation_id: '00000000-0000-0000-0000-000000000000',
    error_uri: `https://login.microsoftonline.com/error?code=${number}`,
  };
}

export function inTheirWords(body, detail) {
  const found = ERRORS.find(([pattern]) => pattern.test(`${body.error} ${body.error_description} ${detail}`));
  if (!found) return body;
  const [, number, text, error] = found;
  return { error: error ?? body.error, ...aadsts(number, text) };
}
