// One LDK node as a process, driven by JSON lines.
//
//   node ldk_node.mjs --datadir DIR --rpc http://127.0.0.1:18443 --rpc-cookie FILE
//                     [--ln-port N] [--log FILE] [--log-level LEVEL] [--config JSON] [--feerate N]
//
// --config    {"handshake": {…}, "limits": {…}, "channel": {…}, "user": {…}} over node.mjs' defaults,
//             keys as in LDK's `set_…`
// --log       everything LDK says: at level `trace` every message in and out, as decoded
// --log-level gossip | trace | debug | info | warn | error
// --feerate   sat per 1,000 weight, for every target (also: set_feerate)
//
// First line out: {"ready": true, "node_id", "port", "height", "restored": monitors, "start_ms"}.
// Then {"id": 1, "cmd": "info"} → {"id": 1, "result": …} or {"id": 1, "error": "…"}; answers come
// as they are ready. The process ends with its stdin. Kill it when you like: what it had said to
// its peers is in DIR.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import readline from 'node:readline';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({ options: {
  datadir: { type: 'string' },
  rpc: { type: 'string' },
  'rpc-cookie': { type: 'string' },
  'ln-port': { type: 'string', default: '0' },
  log: { type: 'string', default: '/dev/stderr' },
  'log-level': { type: 'string', default: 'info' },
  config: { type: 'string', default: '{}' },
  feerate: { type: 'string', default: '253' },
} });
const began = Date.now();
const LEVELS = ['gossip', 'trace', 'debug', 'info', 'warn', 'error'];
const threshold = LEVELS.indexOf(options['log-level']);
if (!options.datadir || !options.rpc || threshold < 0) {
  console.error('needs --datadir, --rpc and a known --log-level; the head of ldk_node.mjs says how');
  process.exit(2);
}

// stdout belongs to the protocol; the bindings print there, so their words go to the log.
const logFile = fs.openSync(options.log, 'a');
const note = (level, text) => fs.writeSync(
  logFile, `${new Date().toISOString().slice(11, 23)} ${level.padEnd(6)} ${text}\n`);
console.log = (...words) => note('print', words.join(' '));
console.error = (...words) => note('driver', words.map(word => word?.stack ?? word).join(' '));
process.on('uncaughtException', error => {       // a panic in Rust is one of these
  note('fatal', error.stack);
  process.exit(1);
});

const ldk = await import('lightningdevkit');
await ldk.initializeWasmFromBinary(
  fs.readFileSync(createRequire(import.meta.url).resolve('lightningdevkit/liblightningjs.wasm')));
const { userConfig } = await import('./config.mjs');
const { Node } = await import('./node.mjs');
const { enumName, hex, must, optionHash, optionU16, optionU32, optionU64, plain, unhex } =
  await import('./plain.mjs');

const logger = ldk.Logger.new_impl({
  log(record) {
    const level = record.get_level();
    if (level < threshold) return;
    note(LEVELS[level], `${record.get_module_path()}:${record.get_line()} ${record.get_args()}`);
  },
});
const node = await Node.start({
  directory: options.datadir, rpc: options.rpc, cookie: options['rpc-cookie'],
  config: JSON.parse(options.config), feerate: Number(options.feerate),
}, logger);
const { manager } = node;

// ------------------------------------------------------------------ commands

const PATIENCE_MS = 15_000;
const matches = ({ types, match = {}, since = 0 }) => event => event.n >= since
  && (!types || types.includes(event.type))
  && Object.entries(match).every(([key, value]) => event[key] === value);

function describeInvoice(invoice) {
  return {
    invoice: invoice.to_str(),
    payment_hash: hex(invoice.payment_hash()),
    payment_secret: hex(invoice.payment_secret()),
    amount_msat: plain(invoice.amount_milli_satoshis()),
    payee: hex(invoice.get_payee_pub_key()),
    min_final_cltv_expiry: plain(invoice.min_final_cltv_expiry_delta()),
    expiry: plain(invoice.expiry_time()),
    features: plain(invoice.features()),
  };
}

function sendPayment(invoice, { amount_msat, payment_secret, attempts = 3 }) {
  const util = ldk.UtilMethods;
  const terms = must(invoice.amount_milli_satoshis().some === undefined
    ? util.constructor_payment_parameters_from_variable_amount_invoice(invoice, BigInt(amount_msat))
    : util.constructor_payment_parameters_from_invoice(invoice), 'payment parameters');
  const hash = terms.get_a();
  const onion = payment_secret === undefined ? terms.get_b()
    : ldk.RecipientOnionFields.constructor_secret_only(unhex(payment_secret));
  must(manager.send_payment(
    hash, onion, hash, terms.get_c(), ldk.Retry.constructor_attempts(attempts)), 'send_payment');
  return hex(hash);
}

/** Waits for what opening a channel leads to; `wanted` says which event is success. */
function opened(temporary, since, wanted, patience) {
  const refused = event => event.type === 'ChannelClosed' && event.channel_id === temporary;
  const driverError = event => event.type === 'DriverError';
  return node.until(() => {
    const later = node.events.slice(since);
    const failure = later.find(event => refused(event) || driverError(event));
    if (failure) throw new Error(`the channel was refused: ${JSON.stringify(failure)}`);
    return later.find(wanted);
  }, patience, 'the channel to be funded');
}

const commands = {
  /** The node at a glance. Scripts in hex. */
  info: () => ({
    node_id: node.nodeId, height: node.chain.height, peers: node.peerList().length,
    channels: node.channels().length, wallet_script: hex(node.wallet.script),
    wallet_sat: plain(node.wallet.balance()), rss_mb: Math.round(process.memoryUsage().rss / 1e6),
  }),
  connect: async ({ node_id, port, host = '127.0.0.1', timeout_ms = PATIENCE_MS }) => {
    const peer = () => node.peerList().find(known => known.counterparty_node_id === node_id);
    if (!peer()) await node.sockets.connect(host, port, unhex(node_id));
    return node.until(peer, timeout_ms, 'init from the peer');
  },
  disconnect: ({ node_id }) => { node.peers.disconnect_by_node_id(unhex(node_id)); return {}; },
  list_peers: () => node.peerList(),

  /**
   * Opens a channel and returns its ChannelPending event, its funding transaction sent. With
   * autofund off (or too poor a wallet, `manual`) returns FundingGenerationReady: `fund` goes on.
   */
  open_channel: async ({ node_id, sat, push_msat = 0, config, manual = false, timeout_ms = PATIENCE_MS }) => {
    const since = node.events.length;
    const layers = [JSON.parse(options.config), config];
    const temporary = hex(must(manager.create_channel(
      unhex(node_id), BigInt(sat), BigInt(push_msat), 0n, null, userConfig(...layers)), 'create_channel').get_a());
    node.wake();
    const wanted = event => (manual || !node.options.autofund
      ? event.type === 'FundingGenerationReady' && event.temporary_channel_id === temporary
      : event.type === 'ChannelPending' && event.former_temporary_channel_id === temporary);
    const event = await opened(temporary, since, wanted, timeout_ms);
    await node.broadcaster.flush();
    return event;
  },
  fund: async ({ temporary_channel_id, tx }) => {
    node.fund(temporary_channel_id, unhex(tx));
    return {};
  },
  accept_channel: ({ temporary_channel_id, node_id }) => {
    const id = ldk.ChannelId.constructor_new(unhex(temporary_channel_id));
    must(manager.accept_inbound_channel(id, unhex(node_id), 0n), 'accept_inbound_channel');
    return {};
  },
  list_channels: () => node.channels().map(channel => node.describe(channel)),
  close: ({ channel_id, feerate }) => {
    const channel = node.channel(channel_id), peer = channel.get_counterparty().get_node_id();
    must(feerate === undefined ? manager.close_channel(channel.get_channel_id(), peer)
      : manager.close_channel_with_feerate_and_script(
        channel.get_channel_id(), peer, optionU32(feerate), null), 'close_channel');
    return {};
  },
  force_close: ({ channel_id, message = 'asked for' }) => {
    const channel = node.channel(channel_id), peer = channel.get_counterparty().get_node_id();
    must(manager.force_close_broadcasting_latest_txn(
      channel.get_channel_id(), peer, message), 'force_close');
    return {};
  },

  create_invoice: ({ amount_msat, description = 'interop', expiry, min_final_cltv, payment_hash }) => {
    const about = ldk.Bolt11InvoiceDescription.constructor_direct(
      must(ldk.Description.constructor_new(description), 'description'));
    return describeInvoice(must(manager.create_bolt11_invoice(
      optionU64(amount_msat), about, optionU32(expiry), optionU16(min_final_cltv),
      optionHash(payment_hash)), 'create_bolt11_invoice'));
  },
  decode_invoice: ({ invoice }) => describeInvoice(
    must(ldk.Bolt11Invoice.constructor_from_str(invoice), 'invoice')),
  /**
   * Starts a payment; `wait_payment` tells how it ended. `amount_msat` for an invoice without one,
   * `payment_secret` to send another than the invoice's.
   */
  pay_invoice: ({ invoice, ...terms }) => {
    const parsed = must(ldk.Bolt11Invoice.constructor_from_str(invoice), 'invoice');
    const payment_hash = sendPayment(parsed, terms);
    node.payments.set(payment_hash, { payment_hash, state: 'pending' });
    return { payment_hash };
  },
  wait_payment: ({ payment_hash, timeout_ms = PATIENCE_MS }) => node.until(() => {
    const payment = node.payments.get(payment_hash);
    return payment?.state !== 'pending' && payment;
  }, timeout_ms, `payment ${payment_hash}`),
  list_payments: () => [...node.payments.values()],
  claim: ({ preimage }) => { manager.claim_funds(unhex(preimage)); return {}; },
  fail: ({ payment_hash }) => { manager.fail_htlc_backwards(unhex(payment_hash)); return {}; },

  /** Events of this start: `types` a list, `match` fields that must be equal, `since` an `n`. */
  events: query => node.events.filter(matches(query)),
  wait_event: ({ timeout_ms = PATIENCE_MS, ...query }) => node.until(
    () => node.events.find(matches(query)), timeout_ms, `event ${JSON.stringify(query)}`),
  /** {autoclaim, autoaccept, autofund, sweep}: each true or false. */
  set: changes => {
    for (const [name, value] of Object.entries(changes)) {
      if (!(name in node.options)) throw new Error(`no option ${name}`);
      node.options[name] = value;
    }
    return node.options;
  },
  set_feerate: ({ feerate, target = 'default' }) => {
    node.feerates[target] = feerate;
    return node.feerates;
  },
  /** The channels on the map; LDK routes over one whose terms it knows for both `directions`. */
  graph: () => {
    const map = node.graph.read_only();
    try {
      return [...map.list_channels()].map(scid => {
        const channel = map.channel(scid);
        const terms = [channel.get_one_to_two(), channel.get_two_to_one()];
        return {
          scid: String(BigInt.asUintN(64, scid)),
          directions: terms.filter(known => known && known.ptr !== 0n).length,
        };
      });
    } finally {
      map.free();                                // it holds the graph's lock
    }
  },
  balances: () => node.monitors.get_claimable_balances([]).map(plain),
  broadcasts: () => node.broadcaster.log,

  /** Returns once `height` is connected and what followed from it has been sent. */
  sync: async ({ height, timeout_ms = PATIENCE_MS }) => {
    await node.follow();
    await node.until(() => node.chain.height >= height, timeout_ms, `height ${height}`);
    return commands.flush();
  },
  /** Returns once everything broadcast so far has been answered by the chain. Mine after it. */
  flush: async () => {
    node.tick();
    await node.broadcaster.flush();
    return { height: node.chain.height, broadcasts: node.broadcaster.log.length };
  },
};

// ------------------------------------------------------------------ the protocol

const say = answer => process.stdout.write(`${JSON.stringify(answer)}\n`);

async function obey(line) {
  const { id = null, cmd, ...parameters } = JSON.parse(line);
  try {
    if (!Object.hasOwn(commands, cmd)) throw new Error(`no command ${cmd}`);
    const result = await commands[cmd](parameters);
    node.wake();
    say({ id, result });
  } catch (error) {
    note('driver', `${cmd}: ${error.stack}`);
    say({ id, error: error.message });
  }
}

const port = await node.run(Number(options['ln-port']));
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', obey);
lines.on('close', () => process.exit(0));
say({
  ready: true, node_id: node.nodeId, port, height: node.chain.height,
  restored: node.restored.length, start_ms: Date.now() - began,
});
