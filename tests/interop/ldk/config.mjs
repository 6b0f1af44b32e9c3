// LDK's settings for a test peer.
import * as ldk from 'lightningdevkit';

// What a test peer needs that stock LDK does not do by default.
const DEFAULTS = {
  handshake: {
    negotiate_anchors_zero_fee_htlc_tx: true,
    announce_for_forwarding: false,
    minimum_depth: 1,
    max_inbound_htlc_value_in_flight_percent_of_channel: 100,
  },
  // Stock LDK refuses a channel whose announce flag is not its own preference.
  limits: { force_announced_channel_preference: false },
  // The default is 10,000 × feerate: a handful of small HTLCs at 253 per kw.
  channel: { max_dust_htlc_exposure_msat: 1_000_000_000 },
  // Inbound anchors channels are taken by hand only: `accept_inbound_channel` in the event handler.
  user: { manually_accept_inbound_channels: true },
};

function apply(config, values) {
  for (const [key, value] of Object.entries(values)) {
    if (key === 'max_dust_htlc_exposure_msat') {
      const limit = ldk.MaxDustHTLCExposure.constructor_fixed_limit_msat(BigInt(value));
      config.set_max_dust_htlc_exposure(limit);
      continue;
    }
    if (!config[`set_${key}`]) throw new Error(`LDK has no setting ${key}`);
    config[`set_${key}`](typeof config[`get_${key}`]() === 'bigint' ? BigInt(value) : value);
  }
  return config;
}

/** LDK's UserConfig: our defaults, then each of `layers` ({handshake, limits, channel, user}). */
export function userConfig(...layers) {
  const merged = part => Object.assign({}, ...[DEFAULTS, ...layers].map(layer => layer?.[part] ?? {}));
  const config = ldk.UserConfig.constructor_default();
  config.set_channel_handshake_config(apply(config.get_channel_handshake_config(), merged('handshake')));
  config.set_channel_handshake_limits(apply(config.get_channel_handshake_limits(), merged('limits')));
  config.set_channel_config(apply(config.get_channel_config(), merged('channel')));
  return apply(config, merged('user'));
}
