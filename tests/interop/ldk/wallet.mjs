// Transactions, and the smallest wallet that can fund a channel: one P2WPKH key, its coins found
// in blocks. Regtest only: the key derives from the node's seed by one hash.
import crypto from 'node:crypto';
import { hex } from './plain.mjs';

const sha256 = bytes => crypto.createHash('sha256').update(bytes).digest();
export const sha256d = bytes => new Uint8Array(sha256(sha256(bytes)));
const hash160 = bytes => crypto.createHash('ripemd160').update(sha256(bytes)).digest();

const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const COINBASE_MATURITY = 100;
const NO_TXID = '00'.repeat(32);
// Weights: version, counts and locktime with the segwit marker; a P2WPKH input; a P2WSH output.
const OVERHEAD_WEIGHT = 44, INPUT_WEIGHT = 272, OUTPUT_WEIGHT = 172;
const SMALLEST_CHANGE_SAT = 400n;

// ------------------------------------------------------------------ bytes in and out

class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  take(count) {
    if (this.at + count > this.bytes.length) throw new Error('transaction ends too early');
    this.at += count;
    return Uint8Array.from(this.bytes.subarray(this.at - count, this.at));
  }
  u32() { this.at += 4; return this.view.getUint32(this.at - 4, true); }
  u64() { this.at += 8; return this.view.getBigUint64(this.at - 8, true); }
  varint() {
    const first = this.bytes[this.at++];
    if (first < 0xfd) return first;
    if (first === 0xfd) { this.at += 2; return this.view.getUint16(this.at - 2, true); }
    return first === 0xfe ? this.u32() : Number(this.u64());
  }
  varbytes() { return this.take(this.varint()); }
  list(item) { return Array.from({ length: this.varint() }, item); }
}

const u32 = value => { const b = Buffer.alloc(4); b.writeUInt32LE(value >>> 0); return b; };
const u64 = value => { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(value)); return b; };
function varint(value) {
  if (value < 0xfd) return Buffer.from([value]);
  return value <= 0xffff ? Buffer.from([0xfd, value & 0xff, value >> 8])
    : Buffer.concat([Buffer.from([0xfe]), u32(value)]);
}
const varbytes = bytes => Buffer.concat([varint(bytes.length), bytes]);
const outpoint = input => Buffer.concat([input.hash, u32(input.index)]);
const output = out => Buffer.concat([u64(out.value), varbytes(out.script)]);

function readTransaction(reader) {
  const start = reader.at;
  const tx = { version: reader.u32() };
  const segwit = reader.bytes[reader.at] === 0;
  if (segwit) reader.at += 2;
  tx.inputs = reader.list(() => ({
    hash: reader.take(32), index: reader.u32(), script: reader.varbytes(), sequence: reader.u32(),
    witness: [],
  }));
  tx.outputs = reader.list(() => ({ value: reader.u64(), script: reader.varbytes() }));
  if (segwit) for (const input of tx.inputs) input.witness = reader.list(() => reader.varbytes());
  tx.locktime = reader.u32();
  tx.raw = Uint8Array.from(reader.bytes.subarray(start, reader.at));
  tx.hash = sha256d(encode(tx, false));
  tx.txid = hex(Uint8Array.from(tx.hash).reverse());
  return tx;
}

export const decode = raw => readTransaction(new Reader(raw));

/** Every transaction of a serialized block, in order. */
export function blockTransactions(raw) {
  const reader = new Reader(raw, 80);
  return reader.list(() => readTransaction(reader));
}

export function encode(tx, withWitness = true) {
  const witness = withWitness && tx.inputs.some(input => input.witness.length);
  return new Uint8Array(Buffer.concat([
    u32(tx.version), witness ? Buffer.from([0, 1]) : Buffer.alloc(0),
    varint(tx.inputs.length),
    ...tx.inputs.flatMap(i => [outpoint(i), varbytes(i.script), u32(i.sequence)]),
    varint(tx.outputs.length), ...tx.outputs.map(output),
    ...(witness ? tx.inputs.flatMap(i => [varint(i.witness.length), ...i.witness.map(varbytes)]) : []),
    u32(tx.locktime)]));
}

/** The unsigned transaction inside a PSBT of version 0 (global key 0x00). */
export function psbtTransaction(psbt) {
  const reader = new Reader(psbt, 5);
  for (let key = reader.varbytes(); key.length; key = reader.varbytes()) {
    const value = reader.varbytes();
    if (key[0] === 0) return decode(value);
  }
  throw new Error('this PSBT holds no transaction');
}

// ------------------------------------------------------------------ the wallet

export class Wallet {
  #coins = new Map();     // "hash:index" → {hash, index, value, height, coinbase, spentAt, reserved}
  #key;
  #height = 0;

  constructor(seed) {
    const secret = sha256(Buffer.concat([seed, Buffer.from('interop wallet')]));
    const ecdh = crypto.createECDH('secp256k1');
    ecdh.setPrivateKey(secret);
    this.pubkey = new Uint8Array(ecdh.getPublicKey(null, 'compressed'));
    const point = ecdh.getPublicKey(null, 'uncompressed');
    const [d, x, y] = [secret, point.subarray(1, 33), point.subarray(33)].map(b => b.toString('base64url'));
    this.#key = crypto.createPrivateKey({ format: 'jwk', key: { kty: 'EC', crv: 'secp256k1', d, x, y } });
    this.keyHash = hash160(this.pubkey);
    this.script = new Uint8Array([0, 20, ...this.keyHash]);
  }

  connect(height, transactions) {
    this.#height = height;
    for (const tx of transactions) {
      for (const input of tx.inputs) {
        const coin = this.#coinOf(input);
        if (coin) coin.spentAt = height;
      }
      tx.outputs.forEach((out, index) => {
        if (Buffer.compare(out.script, this.script) !== 0) return;
        const coinbase = hex(tx.inputs[0].hash) === NO_TXID;
        const coin = { hash: tx.hash, index, value: out.value, height, coinbase };
        this.#coins.set(`${hex(tx.hash)}:${index}`, coin);
      });
    }
  }

  disconnect(height) {
    this.#height = height - 1;
    for (const [name, coin] of this.#coins) {
      if (coin.height === height) this.#coins.delete(name);
      else if (coin.spentAt === height) coin.spentAt = undefined;
    }
  }

  spendable() {
    return [...this.#coins.values()].filter(coin => coin.spentAt === undefined && !coin.reserved
      && (!coin.coinbase || this.#height + 1 - coin.height >= COINBASE_MATURITY));
  }

  balance() { return this.spendable().reduce((sum, coin) => sum + coin.value, 0n); }

  /** A signed transaction that pays `value` to `script`, its coins reserved. */
  pay(script, value, feeratePerKw) {
    const chosen = [];
    let gathered = 0n;
    const fee = () => BigInt(Math.ceil(feeratePerKw / 1000
      * (OVERHEAD_WEIGHT + chosen.length * INPUT_WEIGHT + 2 * OUTPUT_WEIGHT)));
    for (const coin of this.spendable().sort((a, b) => Number(b.value - a.value))) {
      if (gathered >= value + fee()) break;
      chosen.push(coin);
      gathered += coin.value;
    }
    const change = gathered - value - fee();
    if (change < 0n) throw new Error(`the wallet holds ${this.balance()} sat, ${value + fee()} are needed`);
    const outputs = [{ value, script }];
    if (change >= SMALLEST_CHANGE_SAT) outputs.push({ value: change, script: this.script });
    for (const coin of chosen) coin.reserved = true;
    const inputs = chosen.map(({ hash, index }) => (
      { hash, index, script: new Uint8Array(0), sequence: 0xfffffffd, witness: [] }));
    return encode(this.sign({ version: 2, inputs, outputs, locktime: 0 }));
  }

  /** Signs the inputs that spend our coins; leaves the others as they are. */
  sign(tx) {
    tx.inputs.forEach(input => {
      const coin = this.#coinOf(input);
      if (coin) input.witness = [this.#signature(this.#preimage(tx, input, coin.value)), this.pubkey];
    });
    return tx;
  }

  #coinOf(input) { return this.#coins.get(`${hex(input.hash)}:${input.index}`); }

  /** What BIP 143 hashes for one P2WPKH input, SIGHASH_ALL. */
  #preimage(tx, input, value) {
    const scriptCode = Buffer.concat([Buffer.from('1976a914', 'hex'), this.keyHash, Buffer.from('88ac', 'hex')]);
    return Buffer.concat([
      u32(tx.version), sha256d(Buffer.concat(tx.inputs.map(outpoint))),
      sha256d(Buffer.concat(tx.inputs.map(i => u32(i.sequence)))),
      outpoint(input), scriptCode, u64(value), u32(input.sequence),
      sha256d(Buffer.concat(tx.outputs.map(output))), u32(tx.locktime), u32(1)]);
  }

  /** DER with the sighash byte. Node hashes once more itself, hence only one sha256 here. */
  #signature(preimage) {
    const compact = crypto.sign('sha256', sha256(preimage), { key: this.#key, dsaEncoding: 'ieee-p1363' });
    const r = BigInt(`0x${compact.subarray(0, 32).toString('hex')}`);
    const s = BigInt(`0x${compact.subarray(32).toString('hex')}`);
    const integer = value => {
      let digits = value.toString(16);
      if (digits.length % 2) digits = `0${digits}`;
      if (parseInt(digits.slice(0, 2), 16) & 0x80) digits = `00${digits}`;
      const bytes = Buffer.from(digits, 'hex');
      return Buffer.concat([Buffer.from([2, bytes.length]), bytes]);
    };
    const body = Buffer.concat([integer(r), integer(s > CURVE_ORDER / 2n ? CURVE_ORDER - s : s)]);
    return new Uint8Array(Buffer.concat([Buffer.from([0x30, body.length]), body, Buffer.from([1])]));
  }
}
