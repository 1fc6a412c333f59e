// How tests speak to the authorization server: JSON by POST on a loopback port of its own.

import { createServer } from 'node:http';

import { clients, forget } from './adapter.mjs';

const faults = [];
const counts = new Map(); // "client kind" -> how many
const seen = [];
const GRANTS = ['client_credentials', 'refresh_token', 'authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'];

export function note({ kind, client, how }, status) {
  seen.push({ kind, client, how, status });
  if (seen.length > 10_000) seen.shift();
  const key = `${client} ${kind}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

// The next thing that is to go wrong with such a request, once less often then.
export function takeFault({ kind, client }) {
  const at = faults.findIndex((fault) => (kind === fault.kind || kind.startsWith(`${fault.kind}:`)) && (!fault.client || fault.client === client));
  if (at < 0) return undefined;
  const fault = faults[at];
  fault.times -= 1;
  if (fault.times <= 0) faults.splice(at, 1);
  return fault;
}

function addClient({ id, secrets = [], expired = [], keys = [], redirect_uris: uris = [], settings = {} }) {
  const metadata = {
    client_id: id,
    client_secret: 'compared elsewhere, since there may be several',
    application_type: 'native',
    grant_types: GRANTS,
    response_types: ['code'],
    redirect_uris: uris.length ? uris : ['http://127.0.0.1/callback'],
    ...(keys.length ? { jwks: { keys } } : {}),
  };
  clients.set(id, { metadata, secrets, expired, settings });
}

function actions({ provider, consent, resourceOf }) {
  const codeOf = async (userCode) => {
    const code = await provider.DeviceCode.findByUserCode(userCode.toUpperCase().replace(/\W/g, ''));
    if (!code) throw new Error(`no device code ${userCode}`);
    return code;
  };
  return {
    ready: async () => ({}),
    client: async (asked) => addClient(asked),
    change: async ({ id, settings, secrets, expired }) => {
      const client = clients.get(id);
      Object.assign(client.settings, settings);
      if (secrets) client.secrets = secrets;
      if (expired) client.expired = expired;
    },
    approve: async ({ user_code: userCode, user }) => {
      const code = await codeOf(userCode);
      const { scope } = code.params;
      const resource = resourceOf((scope ?? '').split(' '));
      const grantId = await consent(code.clientId, user, scope, resource);
      const grant = await provider.Grant.find(grantId);
      const given = [grant.getOIDCScope(), grant.getResourceScope(resource)].join(' ').split(' ').filter(Boolean).join(' ');
      Object.assign(code, { accountId: user, grantId, scope: given, resource, authTime: Math.floor(Date.now() / 1000) });
      await code.save();
    },
    deny: async ({ user_code: userCode }) => {
      const code = await codeOf(userCode);
      Object.assign(code, { error: 'access_denied', errorDescription: 'the user said no' });
      await code.save();
    },
    fault: async (fault) => {
      faults.push({ times: 1, ...fault });
    },
    mend: async () => faults.splice(0),
    counts: async ({ client }) => {
      const found = {};
      for (const [key, count] of counts) {
        const [id, kind] = key.split(' ');
        if (!client || id === client) found[kind] = (found[kind] ?? 0) + count;
      }
      return found;
    },
    seen: async ({ client }) => seen.filter((one) => !client || one.client === client),
    signout: async ({ user, client }) => forget((row) => row.accountId === user && (!client || row.clientId === client)),
  };
}

export function control(settings, parts) {
  const known = actions(parts);
  createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
      const answer = await known[request.url.slice(1)](JSON.parse(Buffer.concat(chunks).toString() || '{}'));
      response.end(JSON.stringify(answer ?? {}));
    } catch (error) {
      response.statusCode = 400;
      response.end(JSON.stringify({ error: String(error.stack) }));
    }
  }).listen(settings.control, '127.0.0.1');
}
