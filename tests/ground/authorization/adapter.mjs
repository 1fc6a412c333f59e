// Where the authorization server keeps what it issues: memory, nothing thrown away before its time.
// One store for all models; a client is looked up with the way it signs in with right now.

import { AsyncLocalStorage } from 'node:async_hooks';

import { alsoAt, inFull } from './entra.mjs';

export const signingIn = new AsyncLocalStorage();
export const clients = new Map(); // client id -> {metadata, secrets, settings}
const rows = new Map(); // "Model:id" -> payload

const now = () => Math.floor(Date.now() / 1000);

export class Adapter {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  async find(id) {
    if (this.model !== 'Client') return rows.get(this.key(id));
    const client = clients.get(id);
    if (!client) return undefined;
    // Entra takes secret, certificate and, where it is permitted, neither from one and the same app;
    // oidc-provider knows one way a client, so it is told the one that is being used.
    const how = signingIn.getStore()?.how ?? 'client_secret_basic';
    const method = how === 'none' && !client.settings.public ? 'client_secret_basic' : how;
    return { ...client.metadata, token_endpoint_auth_method: method };
  }

  async upsert(id, payload) {
    // With Entra one refresh token is good for every resource that was consented to.
    const others = this.model === 'RefreshToken' && typeof payload.resource === 'string' ? alsoAt(payload.resource) : [];
    if (others.length) {
      const full = inFull(payload.resource, payload.scope.split(' '));
      payload.scope = [payload.scope, ...full, ...others.flatMap(([, names]) => names)].join(' ');
      payload.resource = [payload.resource, ...others.map(([name]) => name)];
    }
    rows.set(this.key(id), payload);
  }

  async findByUserCode(userCode) {
    return this.first((row) => row.userCode === userCode);
  }

  async findByUid(uid) {
    return this.first((row) => row.uid === uid);
  }

  first(wanted) {
    for (const [key, row] of rows) {
      if (key.startsWith(`${this.model}:`) && wanted(row)) return row;
    }
    return undefined;
  }

  async consume(id) {
    const row = rows.get(this.key(id));
    // Entra gives a new refresh token and goes on taking the old one.
    const { rotation } = clients.get(row.clientId)?.settings ?? {};
    if (this.model === 'RefreshToken' && rotation === 'lenient') return;
    row.consumed = now();
  }

  async destroy(id) {
    rows.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    forget((row) => row.grantId === grantId);
  }
}

// Remove what fits: as when an administrator signs somebody out everywhere.
export function forget(wanted) {
  let count = 0;
  for (const [key, row] of rows) {
    if (wanted(row)) {
      rows.delete(key);
      count += 1;
    }
  }
  return count;
}
