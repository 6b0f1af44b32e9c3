// The chain as LDK sees it: blocks polled from Bitcoin Core's JSON-RPC, transactions sent to it.
import fs from 'node:fs';
import { hex, unhex, reversed } from './plain.mjs';
import { blockTransactions, decode, sha256d } from './wallet.mjs';

const METHOD_NOT_FOUND = -32601;
const HEADER_BYTES = 80;

export class Rpc {
  #id = 0;
  #url;
  #authorization;

  /** `url` may hold user:password; a cookie file (read now) takes their place. */
  constructor(url, cookieFile) {
    const parsed = new URL(url);
    const login = cookieFile ? fs.readFileSync(cookieFile, 'utf8').trim()
      : `${decodeURIComponent(parsed.username)}:${decodeURIComponent(parsed.password)}`;
    this.#authorization = `Basic ${Buffer.from(login).toString('base64')}`;
    parsed.username = '';
    parsed.password = '';
    this.#url = parsed.href;
  }

  async call(method, ...params) {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: this.#authorization },
      body: JSON.stringify({ jsonrpc: '1.0', id: ++this.#id, method, params }),
    });
    const text = await response.text();
    let answer;
    try { answer = JSON.parse(text); } catch { throw new Error(`${method}: HTTP ${response.status}`); }
    if (answer.error) {
      throw Object.assign(new Error(`${method}: ${answer.error.message}`), { code: answer.error.code });
    }
    return answer.result;
  }
}

/** Sends transactions one after another, parents first, and remembers what became of each. */
export class Broadcaster {
  log = [];               // {txid, hex, result}: result is "pending", "ok" or the refusal
  #rpc;
  #waiting = [];          // packages that LDK broadcast since the last release
  #last = Promise.resolve();

  constructor(rpc) { this.#rpc = rpc; }

  /** Keeps the transactions until `release`: what explains them must be on disk first. */
  send(transactions) {
    const entries = transactions.map(raw => ({ txid: decode(raw).txid, hex: hex(raw), result: 'pending' }));
    this.log.push(...entries);
    this.#waiting.push(entries);
  }

  release() {
    for (const entries of this.#waiting.splice(0)) {
      this.#last = this.#last.then(() => this.#deliver(entries));
    }
  }

  /** Resolves once everything released so far has been answered. Mine only after it. */
  flush() { return this.#last; }

  async #deliver(entries) {
    if (entries.length > 1 && await this.#deliverPackage(entries)) return;
    for (const entry of entries) {
      try {
        await this.#rpc.call('sendrawtransaction', entry.hex);
        entry.result = 'ok';
      } catch (error) { entry.result = error.message; }
    }
  }

  async #deliverPackage(entries) {
    try {
      const answer = await this.#rpc.call('submitpackage', entries.map(entry => entry.hex));
      const byTxid = new Map(Object.values(answer['tx-results'] ?? {}).map(tx => [tx.txid, tx]));
      for (const entry of entries) {
        const tx = byTxid.get(entry.txid);
        entry.result = tx?.error ?? (tx || answer.package_msg === 'success' ? 'ok' : answer.package_msg);
      }
    } catch (error) {
      if (error.code === METHOD_NOT_FOUND) return false;
      for (const entry of entries) entry.result = error.message;
    }
    return true;
  }
}

/**
 * Follows the best chain from genesis on and tells each listener, strictly in order.
 * A listener is {height, connect(raw, height, transactions), disconnect(header, height)}; blocks
 * up to its `height` are not repeated to it, so a node restored from disk catches up by itself.
 */
export class Follower {
  listeners = [];
  height = 0;
  #blocks = [];           // by height: {id, header}
  #rpc;
  #running = null;

  constructor(rpc) { this.#rpc = rpc; }

  async begin() {
    const id = await this.#rpc.call('getblockhash', 0);
    this.#blocks = [{ id }];
    return unhexId(id);
  }

  /** One round. Calls at the same time share it; true if the tip moved. */
  follow() {
    this.#running ??= this.#round().finally(() => { this.#running = null; });
    return this.#running;
  }

  async #round() {
    if (await this.#rpc.call('getbestblockhash') === this.#blocks[this.height].id) return false;
    const tip = await this.#rpc.call('getblockcount');
    while (this.height > tip
      || await this.#rpc.call('getblockhash', this.height) !== this.#blocks[this.height].id) this.#disconnect();
    while (this.height < tip) {
      const id = await this.#rpc.call('getblockhash', this.height + 1);
      const raw = unhex(await this.#rpc.call('getblock', id, 0));
      // The chain may have switched between two calls: the next round sorts it out.
      if (hex(reversed(raw.subarray(4, 36))) !== this.#blocks[this.height].id) break;
      this.#connect(raw);
    }
    return true;
  }

  #connect(raw) {
    const header = Uint8Array.from(raw.subarray(0, HEADER_BYTES));
    this.height += 1;
    this.#blocks[this.height] = { id: hex(reversed(sha256d(header))), header };
    const transactions = blockTransactions(raw);
    for (const listener of this.listeners) {
      if (this.height <= listener.height) continue;
      listener.connect(raw, this.height, transactions);
      listener.height = this.height;
    }
  }

  #disconnect() {
    const { header } = this.#blocks[this.height];
    for (const listener of this.listeners) {
      listener.disconnect(header, this.height);
      listener.height = this.height - 1;
    }
    this.#blocks.length = this.height;
    this.height -= 1;
  }
}

const unhexId = id => reversed(unhex(id));
