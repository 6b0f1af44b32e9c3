// LDK's objects, as its WASM bindings hand them over, turned into plain JSON and back.
//
// What the bindings do that nobody expects:
//  * unsigned integers come back as signed numbers (u64::MAX is -1n);
//  * an absent optional struct is a wrapper around pointer 0, not null;
//  * an optional value is a class pair, `Option_…_Some` (with `.some`) and `Option_…_None`.
import * as ldk from 'lightningdevkit';

export const hex = bytes => Buffer.from(bytes).toString('hex');
export const unhex = text => new Uint8Array(Buffer.from(text, 'hex'));
export const reversed = bytes => Uint8Array.from(bytes).reverse();


const option = kind => value => value === undefined || value === null
  ? ldk[`Option_${kind}Z`].constructor_none() : ldk[`Option_${kind}Z`].constructor_some(value);
export const optionU16 = option('u16');
export const optionU32 = option('u32');
export const optionU64 = value => option('u64')(value === undefined ? value : BigInt(value));
export const optionHash = value => option('ThirtyTwoBytes')(value === undefined ? value : unhex(value));

/** A number JSON can hold. A negative one is taken for a u32; see `named` for ports. */
function integer(value) {
  if (typeof value === 'number') return value < 0 ? value >>> 0 : value;
  const unsigned = BigInt.asUintN(64, value);
  return unsigned <= Number.MAX_SAFE_INTEGER ? Number(unsigned) : unsigned.toString();
}

/** The name of an enumeration's member: `PaymentFailureReason`, 2 → "RouteNotFound". */
export function enumName(kind, value) {
  return String(ldk[kind]?.[value] ?? value).replace(`LDK${kind}_`, '');
}

/** Features as on the wire, without the length that `write` puts before them in some classes. */
export function features(value) {
  const bytes = value.write();
  const prefixed = bytes.length >= 2 && ((bytes[0] << 8) | bytes[1]) === bytes.length - 2;
  return hex(prefixed ? bytes.slice(2) : bytes);
}

const INTERNAL = new Set(['ptr', 'ptrs_to', 'bindings_instance', 'instance_idx']);
// Names whose answers say nothing in JSON, or would go round in circles.
const SKIPPED = new Set(['user_channel_id', 'config']);

/** Any LDK value as plain JSON: its fields, and what its `get_*` methods return, by LDK's names. */
export function plain(value) {
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint' || typeof value === 'number') return integer(value);
  if (typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value.ptr === 0n) return null;
  const name = value.constructor.name;
  if (name.startsWith('Option_')) {
    const kind = name.replace(/^Option_/, '').replace(/Z_(Some|None)$/, '');
    if (value.some === undefined) return null;
    return typeof value.some === 'number' && ldk[kind] ? enumName(kind, value.some) : plain(value.some);
  }
  if (name.endsWith('Features')) return features(value);
  if (value instanceof ldk.OutPoint) {
    return { txid: hex(reversed(value.get_txid())), index: value.get_index() };
  }
  return struct(value, name);
}

/** Where only a field's name tells its type: booleans come as 0 and 1, a u16 port as negative. */
function named(field, value) {
  if (field.startsWith('is_')) return Boolean(value);
  return field === 'port' ? value & 0xffff : plain(value);
}

function struct(value, name) {
  const fields = {};
  const variant = name.match(/^[A-Za-z0-9]+_(\w+)$/);      // Event_ChannelReady, ClosureReason_…
  if (variant) fields.type = variant[1];
  for (const key of Object.keys(value)) {
    if (!INTERNAL.has(key) && !SKIPPED.has(key)) fields[key] = named(key, value[key]);
  }
  for (const key of Object.getOwnPropertyNames(Object.getPrototypeOf(value))) {
    const field = key.startsWith('get_') ? key.slice(4) : null;
    if (field && !SKIPPED.has(field) && value[key].length === 0) fields[field] = named(field, value[key]());
  }
  const names = Object.keys(fields);
  return names.length === 1 && names[0] === 'a' ? fields.a : fields;   // ChannelId and its like
}

/** The value of a bindings' Result, or an Error that says what LDK answered. */
export function must(result, what) {
  if (result.is_ok()) return result.res;
  const kind = result.constructor.name.match(/(RetryableSendFailure)/)?.[1];
  const reason = kind ? enumName(kind, result.err) : JSON.stringify(plain(result.err));
  throw new Error(`${what}: ${reason}`);
}
