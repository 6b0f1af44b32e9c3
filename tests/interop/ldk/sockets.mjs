// LDK's peers on TCP. Written because the stock driver, lightningdevkit-node-net, never writes
// again once a socket's buffer has been full.
import net from 'node:net';
import * as ldk from 'lightningdevkit';

export class Sockets {
  #peers;                 // ldk.PeerManager
  #wake;                  // called after anything that may have produced events or messages
  #count = 0n;
  #alive = new Map();     // LDK holds our descriptors weakly; this keeps them from the collector

  constructor(peers, wake) {
    this.#peers = peers;
    this.#wake = wake;
  }

  listen(port) {
    return new Promise((resolve, reject) => {
      this.server = net.createServer(socket => {
        const descriptor = this.#adopt(socket);
        if (!this.#peers.new_inbound_connection(descriptor, address(socket)).is_ok()) socket.destroy();
      });
      this.server.on('error', reject);
      this.server.listen(port, '127.0.0.1', () => resolve(this.server.address().port));
    });
  }

  connect(host, port, nodeId) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, host);
      socket.once('error', reject);
      socket.once('connect', () => {
        const descriptor = this.#adopt(socket);
        const act = this.#peers.new_outbound_connection(nodeId, descriptor, address(socket));
        if (!act.is_ok()) {
          socket.destroy();
          reject(new Error('LDK refuses this connection'));
          return;
        }
        socket.write(act.res);
        resolve();
      });
    });
  }

  #adopt(socket) {
    const number = this.#count++;
    let full = false, gone = false;
    socket.setNoDelay(true);
    const descriptor = ldk.SocketDescriptor.new_impl({
      send_data: (data, resumeRead) => {
        if (resumeRead) socket.resume();
        if (full || gone) return 0;
        full = !socket.write(Uint8Array.from(data));
        return data.length;
      },
      disconnect_socket: () => { gone = true; socket.destroy(); },
      eq: other => other.hash() === number,
      hash: () => number,
    });
    this.#alive.set(number, descriptor);
    const drop = () => { gone = true; socket.destroy(); };
    socket.on('drain', () => {
      full = false;
      if (!gone && !this.#peers.write_buffer_space_avail(descriptor).is_ok()) drop();
    });
    socket.on('data', data => {
      if (gone) return;
      const read = this.#peers.read_event(descriptor, new Uint8Array(data));
      if (!read.is_ok()) drop();
      else if (read.res) socket.pause();
      this.#wake();
    });
    socket.on('error', () => {});           // 'close' follows, and says all that matters
    socket.on('close', () => {
      this.#peers.socket_disconnected(descriptor);   // no effect where LDK hung up itself
      this.#alive.delete(number);
      this.#wake();
    });
    return descriptor;
  }
}

function address(socket) {
  const loopback = new Uint8Array([127, 0, 0, 1]);
  return ldk.Option_SocketAddressZ.constructor_some(
    ldk.SocketAddress.constructor_tcp_ip_v4(loopback, socket.remotePort ?? 0));
}
