// A whole LDK node, assembled: keys, channel manager, monitors, disk, peers, wallet, chain.
// What it does by itself is in `#onEvent`; everything else is asked for (ldk_node.mjs).
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import v8 from 'node:v8';
import * as ldk from 'lightningdevkit';
import { Broadcaster, Follower, Rpc } from './chain.mjs';
import { userConfig } from './config.mjs';
import { enumName, hex, must, optionU32, plain, reversed, unhex } from './plain.mjs';
import { Sockets } from './sockets.mjs';
import { Wallet, encode, psbtTransaction } from './wallet.mjs';

const MINIMUM_FEERATE = 253;
// The weight of spending one P2WPKH coin: what LDK's coin selection is told a witness takes.
const P2WPKH_SATISFACTION_WEIGHT = 113n;
const POLL_MS = 100;
const TIMER_MS = 10_000;
const nowSeconds = () => Math.floor(Date.now() / 1000);

export class Node {
  events = [];              // {n, height, type, …LDK's fields}, from this start on
  payments = new Map();     // payment hash → {state: "pending" | "sent" | "failed", …}
  waitingForFunds = new Map();   // temporary channel id → Event_FundingGenerationReady
  options = { autoclaim: true, autoaccept: true, autofund: true, sweep: true };
  feerates = { default: MINIMUM_FEERATE };
  #monitorBytes = new Map();     // funding outpoint → the monitor as LDK wrote it last
  #monitorsChanged = false;
  #changed = new Set();     // called after every tick
  #queue = [];
  #ticking = false;
  #scheduled = false;

  /** `settings`: {directory, rpc, cookie, config, feerate}; `log` is an ldk.Logger. */
  static async start(settings, log) {
    const node = new Node();
    node.directory = settings.directory;
    node.log = log;
    node.settings = settings;
    node.feerates.default = settings.feerate;
    await node.#assemble();
    return node;
  }

  // ---------------------------------------------------------------- assembly

  async #assemble() {
    const seed = this.#seed();
    this.rpc = new Rpc(this.settings.rpc, this.settings.cookie);
    this.chain = new Follower(this.rpc);
    this.broadcaster = new Broadcaster(this.rpc);
    this.wallet = new Wallet(seed);
    this.keys = ldk.KeysManager.constructor_new(seed, BigInt(nowSeconds()), crypto.randomInt(1e9));
    this.#traits();
    this.graph = ldk.NetworkGraph.constructor_new(ldk.Network.LDKNetwork_Regtest, this.log);
    this.gossip = ldk.P2PGossipSync.constructor_new(
      this.graph, ldk.Option_UtxoLookupZ.constructor_none(), this.log);
    this.scorer = ldk.MultiThreadedLockableScore.constructor_new(ldk.ProbabilisticScorer.constructor_new(
      ldk.ProbabilisticScoringDecayParameters.constructor_default(), this.graph, this.log).as_Score());
    this.router = ldk.DefaultRouter.constructor_new(
      this.graph, this.log, this.keys.as_EntropySource(), this.scorer.as_LockableScore(),
      ldk.ProbabilisticScoringFeeParameters.constructor_default());
    this.messageRouter = ldk.DefaultMessageRouter.constructor_new(this.graph, this.keys.as_EntropySource());
    this.monitors = ldk.ChainMonitor.constructor_new(
      ldk.Option_FilterZ.constructor_none(), this.broadcasts, this.log, this.estimator, this.persister);
    this.bumper = ldk.BumpTransactionEventHandler.constructor_new(
      this.broadcasts, ldk.Wallet.constructor_new(this.walletSource, this.log).as_CoinSelectionSource(),
      this.keys.as_SignerProvider(), this.log);
    const genesis = await this.chain.begin();
    await this.#manage(genesis);
    this.#peers();
  }

  #seed() {
    const file = path.join(this.directory, 'seed');
    fs.mkdirSync(this.directory, { recursive: true });
    if (!fs.existsSync(file)) writeWhole(file, crypto.randomBytes(32));
    return new Uint8Array(fs.readFileSync(file));
  }

  /** Our side of LDK's traits. Kept as fields: the bindings hold them weakly. */
  #traits() {
    this.broadcasts = ldk.BroadcasterInterface.new_impl({
      broadcast_transactions: transactions => this.broadcaster.send(transactions),
    });
    this.estimator = ldk.FeeEstimator.new_impl({
      get_est_sat_per_1000_weight: target => Math.max(
        MINIMUM_FEERATE, this.feerates[enumName('ConfirmationTarget', target)] ?? this.feerates.default),
    });
    // "Completed" though nothing is on disk yet: nothing leaves this process before `#save`.
    const store = (funding, monitor) => {
      this.#monitorBytes.set(monitorName(funding), Uint8Array.from(monitor.write()));
      this.#monitorsChanged = true;
      return ldk.ChannelMonitorUpdateStatus.LDKChannelMonitorUpdateStatus_Completed;
    };
    this.persister = ldk.Persist.new_impl({
      persist_new_channel: store,
      update_persisted_channel: (funding, update, monitor) => store(funding, monitor),
      archive_persisted_channel: funding => this.#monitorBytes.delete(monitorName(funding)),
    });
    this.walletSource = ldk.WalletSource.new_impl({
      list_confirmed_utxos: () => ldk.Result_CVec_UtxoZNoneZ.constructor_ok(
        this.wallet.spendable().map(coin => ldk.Utxo.constructor_new(
          ldk.OutPoint.constructor_new(coin.hash, coin.index),
          ldk.TxOut.constructor_new(coin.value, this.wallet.script), P2WPKH_SATISFACTION_WEIGHT))),
      get_change_script: () => ldk.Result_CVec_u8ZNoneZ.constructor_ok(this.wallet.script),
      sign_psbt: psbt => ldk.Result_TransactionNoneZ.constructor_ok(
        encode(this.wallet.sign(psbtTransaction(psbt)))),
    });
  }

  /** Makes the channel manager, or reads it and its monitors and brings each to the tip. */
  async #manage(genesis) {
    const file = this.#stateFile();
    const config = userConfig(this.settings.config);
    const parts = [
      this.estimator, this.monitors.as_Watch(), this.broadcasts, this.router.as_Router(),
      this.messageRouter.as_MessageRouter(), this.log];
    const signers = [this.keys.as_EntropySource(), this.keys.as_NodeSigner(), this.keys.as_SignerProvider()];
    this.restored = [];
    if (fs.existsSync(file)) {
      const saved = v8.deserialize(fs.readFileSync(file));
      this.#monitorBytes = saved.monitors;
      this.restored = this.#readMonitors(signers);
      this.manager = must(ldk.UtilMethods.constructor_C2Tuple_ThirtyTwoBytesChannelManagerZ_read(
        saved.manager, ...signers, ...parts, config, this.restored), 'manager').get_b();
    } else {
      const start = ldk.ChainParameters.constructor_new(
        ldk.Network.LDKNetwork_Regtest, ldk.BestBlock.constructor_new(genesis, 0));
      this.manager = ldk.ChannelManager.constructor_new(...parts, ...signers, config, start, nowSeconds());
    }
    this.nodeId = hex(this.manager.get_our_node_id());
    this.#recallPayments();
    await this.#catchUp();
    this.#save();
  }

  #readMonitors([entropy, , signerProvider]) {
    const read = ldk.UtilMethods.constructor_C2Tuple_ThirtyTwoBytesChannelMonitorZ_read;
    return [...this.#monitorBytes].map(
      ([name, bytes]) => must(read(bytes, entropy, signerProvider), `monitor ${name}`).get_b());
  }

  /** What LDK remembers of payments: all that are open, and those settled lately. */
  #recallPayments() {
    const states = {
      RecentPaymentDetails_Pending: 'pending',
      RecentPaymentDetails_Fulfilled: 'sent',
      RecentPaymentDetails_Abandoned: 'failed',
    };
    for (const payment of this.manager.list_recent_payments()) {
      const payment_hash = hex(payment.payment_id), state = states[payment.constructor.name];
      if (state) this.payments.set(payment_hash, { payment_hash, state });
    }
  }

  /** Restored monitors hear the blocks one by one; afterwards the chain monitor speaks for them. */
  async #catchUp() {
    const manager = this.manager.as_Listen(), monitors = this.monitors.as_Listen();
    const wallet = {
      height: 0,
      connect: (raw, height, transactions) => this.wallet.connect(height, transactions),
      disconnect: (header, height) => this.wallet.disconnect(height),
    };
    const listener = (listen, height) => ({
      height,
      connect: (raw, at) => listen.block_connected(raw, at),
      disconnect: (header, at) => listen.block_disconnected(header, at),
    });
    const restored = this.restored.map(monitor => ({
      height: monitor.current_best_block().get_height(),
      connect: (raw, height, transactions) => monitor.block_connected(
        raw.slice(0, 80),
        transactions.map((tx, i) => ldk.TwoTuple_usizeTransactionZ.constructor_new(i, tx.raw)),
        height, this.broadcasts, this.estimator, this.log),
    }));
    const known = listener(manager, this.manager.current_best_block().get_height());
    this.chain.listeners = [wallet, known, ...restored];
    await this.chain.follow();
    for (const monitor of this.restored) {
      must(this.monitors.as_Watch().watch_channel(monitor.get_funding_txo().get_a(), monitor), 'watch');
    }
    this.chain.listeners = [wallet, known, listener(monitors, this.chain.height)];
  }

  #peers() {
    const ignore = ldk.IgnoringMessageHandler.constructor_new();
    this.onions = ldk.OnionMessenger.constructor_new(
      this.keys.as_EntropySource(), this.keys.as_NodeSigner(), this.log, this.manager.as_NodeIdLookUp(),
      this.messageRouter.as_MessageRouter(), this.manager.as_OffersMessageHandler(),
      this.manager.as_AsyncPaymentsMessageHandler(), this.manager.as_DNSResolverMessageHandler(),
      ignore.as_CustomOnionMessageHandler());
    this.peers = ldk.PeerManager.constructor_new(
      this.manager.as_ChannelMessageHandler(), this.gossip.as_RoutingMessageHandler(),
      this.onions.as_OnionMessageHandler(), ignore.as_CustomMessageHandler(), nowSeconds(),
      this.keys.as_EntropySource().get_secure_random_bytes(), this.log, this.keys.as_NodeSigner());
    this.sockets = new Sockets(this.peers, () => this.wake());
    this.eventSources = [
      this.manager.as_EventsProvider(), this.monitors.as_EventsProvider(), this.onions.as_EventsProvider()];
    // Events are only queued here: LDK must not be called from inside its own callback.
    this.eventHandler = ldk.EventHandler.new_impl({
      handle_event: event => {
        this.#queue.push(event);
        return ldk.Result_NoneReplayEventZ.constructor_ok();
      },
    });
  }

  /** Listens, follows the chain, and keeps LDK's timers. Resolves to the port. */
  async run(port) {
    const bound = await this.sockets.listen(port);
    const poll = async () => {
      try { await this.follow(); } catch (error) { console.error(`chain: ${error.message}`); }
      setTimeout(poll, POLL_MS);
    };
    poll();
    setInterval(() => {
      this.peers.timer_tick_occurred();
      this.manager.timer_tick_occurred();
      this.monitors.rebroadcast_pending_claims();
      this.wake();
    }, TIMER_MS);
    this.wake();
    return bound;
  }

  async follow() {
    if (await this.chain.follow()) this.tick();
  }

  // ---------------------------------------------------------------- the loop

  /** Asks for a tick soon. Call it after anything that may have given LDK work. */
  wake() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.tick());
  }

  /** Events, then disk, then transactions and messages: nothing leaves before what explains it. */
  tick() {
    this.#scheduled = false;
    if (this.#ticking) return;
    this.#ticking = true;
    try {
      do {
        for (const source of this.eventSources) {
          source.process_pending_events(this.eventHandler);
          source.ptrs_to.length = 0;        // each call leaves a reference here, for ever
        }
        for (const event of this.#queue.splice(0)) this.#handle(event);
      } while (this.#unsaved() && this.#save());
      this.broadcaster.release();
      this.peers.process_events();
    } finally { this.#ticking = false; }
    for (const check of [...this.#changed]) check();
  }

  #unsaved() { return this.manager.get_and_clear_needs_persistence() || this.#monitorsChanged; }

  /**
   * Manager and monitors in one file, replaced at once. In two files a kill between the writes
   * leaves a monitor ahead of its manager, and LDK then force-closes that channel ("stale").
   */
  #save() {
    const state = { manager: Uint8Array.from(this.manager.write()), monitors: this.#monitorBytes };
    writeWhole(this.#stateFile(), v8.serialize(state));
    this.#monitorsChanged = false;
    return true;
  }

  #stateFile() { return path.join(this.directory, 'state'); }

  /** Waits until `check` answers something; it is asked after every tick. */
  async until(check, milliseconds, what) {
    let timer, ask;
    try {
      return await new Promise((resolve, reject) => {
        ask = () => {
          try {
            const answer = check();
            if (answer) resolve(answer);
          } catch (error) { reject(error); }
        };
        timer = setTimeout(() => reject(new Error(`waited ${milliseconds} ms for ${what}`)), milliseconds);
        this.#changed.add(ask);
        ask();
      });
    } finally {
      clearTimeout(timer);
      this.#changed.delete(ask);
    }
  }

  record(type, body) {
    const event = { n: this.events.length, height: this.chain.height, ...body, type };
    this.events.push(event);
    return event;
  }

  #handle(event) {
    try {
      this.#onEvent(event);
    } catch (error) {
      console.error(error);
      this.record('DriverError', { error: error.message });
    }
  }

  #onEvent(event) {
    if (event instanceof ldk.Event_PendingHTLCsForwardable) {    // for final receives too
      this.manager.process_pending_htlc_forwards();
      return;
    }
    const type = event.constructor.name.replace('Event_', '');
    if (event instanceof ldk.Event_SpendableOutputs || event instanceof ldk.Event_BumpTransaction) {
      this.record(type, {});      // their insides are descriptors with keys: no use in JSON
    } else {
      this.record(type, plain(event));
    }
    if (event instanceof ldk.Event_OpenChannelRequest) this.#accept(event);
    else if (event instanceof ldk.Event_FundingGenerationReady) this.#fund(event);
    else if (event instanceof ldk.Event_PaymentClaimable) this.#claim(event);
    else if (event instanceof ldk.Event_PaymentSent) this.#settled(event, 'sent');
    else if (event instanceof ldk.Event_PaymentFailed) this.#settled(event, 'failed');
    else if (event instanceof ldk.Event_SpendableOutputs) this.#sweep(event.outputs);
    else if (event instanceof ldk.Event_BumpTransaction) this.bumper.handle_event(event.bump_transaction);
  }

  #accept(event) {
    if (!this.options.autoaccept) return;
    must(this.manager.accept_inbound_channel(
      event.temporary_channel_id, event.counterparty_node_id, 0n), 'accept_inbound_channel');
  }

  #fund(event) {
    const temporary = hex(event.temporary_channel_id.get_a());
    this.waitingForFunds.set(temporary, event);
    if (!this.options.autofund || this.wallet.balance() <= event.channel_value_satoshis) return;
    this.fund(temporary, this.wallet.pay(
      event.output_script, event.channel_value_satoshis, this.feerates.default));
  }

  /** Hands LDK the signed transaction that funds a channel; LDK broadcasts it when that is safe. */
  fund(temporary, raw) {
    const event = this.waitingForFunds.get(temporary);
    if (!event) throw new Error(`no channel ${temporary} waits for its funding transaction`);
    this.waitingForFunds.delete(temporary);
    must(this.manager.funding_transaction_generated(
      event.temporary_channel_id, event.counterparty_node_id, raw), 'funding_transaction_generated');
    this.wake();
  }

  #claim(event) {
    if (!this.options.autoclaim) return;
    const preimage = event.purpose.preimage();
    if (preimage.some) this.manager.claim_funds(preimage.some);
    else this.manager.fail_htlc_backwards(event.payment_hash);
  }

  #settled(event, state) {
    // A payment's id is its hash (ldk_node.mjs), so a payment of an earlier start is known too.
    const hash = plain(event.payment_hash) ?? plain(event.payment_id);
    const details = state === 'sent'
      ? { preimage: hex(event.payment_preimage), fee_msat: plain(event.fee_paid_msat) }
      : { reason: plain(event.reason) };
    this.payments.set(hash, { payment_hash: hash, ...this.payments.get(hash), ...details, state });
  }

  #sweep(outputs) {
    if (!this.options.sweep) return;
    const spend = this.keys.as_OutputSpender().spend_spendable_outputs(
      outputs, [], this.wallet.script, this.feerates.default, optionU32(undefined));
    this.broadcaster.send([must(spend, 'spend_spendable_outputs')]);
  }

  // ---------------------------------------------------------------- asked for

  channels() { return this.manager.list_channels(); }

  /** The channel with this id; with a node's id, the one channel with that node. */
  channel(id) {
    const named = this.channels().filter(channel => hex(channel.get_channel_id().get_a()) === id
      || hex(channel.get_counterparty().get_node_id()) === id);
    if (named.length !== 1) throw new Error(`${named.length} channels are called ${id}`);
    return named[0];
  }

  peerList() { return this.peers.list_peers().map(plain); }

  /** LDK's ChannelDetails, with each side's balance beside its capacity. */
  describe(channel) {
    const details = plain(channel);
    // A capacity is a balance above its owner's reserve; at 0 the balance may be anything below.
    const above = (capacity, reserve) => (capacity > 0 ? capacity + (reserve ?? 0) * 1000 : null);
    details.our_msat = above(details.outbound_capacity_msat, details.unspendable_punishment_reserve);
    details.their_msat = above(
      details.inbound_capacity_msat, details.counterparty.unspendable_punishment_reserve);
    return details;
  }
}

const monitorName = funding => `${hex(reversed(funding.get_txid()))}:${funding.get_index()}`;

/** A file is whole or absent, also when the process dies in the middle. */
function writeWhole(file, bytes) {
  fs.writeFileSync(`${file}.new`, bytes);
  fs.renameSync(`${file}.new`, file);
}
