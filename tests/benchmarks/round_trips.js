/** Kernels' websockets in a page, spoken to as JupyterLab does: in binary, by protocol v1. */
(() => {
  const PROTOCOL = 'v1.kernel.websocket.jupyter.org';
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const kernels = new Map();

  /** Channel, header, parent, metadata and content, after a table of where each begins. */
  function encode(header, content) {
    const parts = ['shell', JSON.stringify(header), '{}', '{}', JSON.stringify(content)].map(part =>
      encoder.encode(part)
    );
    const offsets = [8 * (parts.length + 2)];
    for (const part of parts) {
      offsets.push(offsets.at(-1) + part.length);
    }
    const message = new Uint8Array(offsets.at(-1));
    const table = new DataView(message.buffer);
    [offsets.length, ...offsets].forEach((value, index) =>
      table.setBigUint64(8 * index, BigInt(value), true)
    );
    parts.forEach((part, index) => message.set(part, offsets[index]));
    return message;
  }

  function decode(data) {
    const table = new DataView(data);
    const offset = index => Number(table.getBigUint64(8 * (index + 1), true));
    const [header, parent, , content] = [1, 2, 3, 4].map(index =>
      JSON.parse(decoder.decode(new Uint8Array(data, offset(index), offset(index + 1) - offset(index))))
    );
    return { type: header.msg_type, parent: parent.msg_id, content };
  }

  /** Open a kernel's websocket. */
  globalThis.openKernel = ({ name, url }) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(url, [PROTOCOL]);
      socket.binaryType = 'arraybuffer';
      socket.onopen = () => (socket.protocol === PROTOCOL ? resolve() : reject(socket.protocol));
      socket.onerror = () => reject('the websocket was refused');
      kernels.set(name, socket);
    });

  /** Execute `pass`; return the milliseconds until both its reply and its idle state are here. */
  const roundTrip = name =>
    new Promise((resolve, reject) => {
      const socket = kernels.get(name);
      const id = crypto.randomUUID();
      const header = {
        msg_id: id,
        msg_type: 'execute_request',
        session: name,
        username: '',
        version: '5.3',
        date: new Date().toISOString()
      };
      const waiting = new Set(['execute_reply', 'idle']);
      socket.onclose = () => reject('the websocket was closed');
      socket.onmessage = event => {
        const message = decode(event.data);
        if (message.parent === id) {
          waiting.delete(message.type === 'status' ? message.content.execution_state : message.type);
          if (waiting.size === 0) {
            resolve(performance.now() - began);
          }
        }
      };
      const began = performance.now();
      socket.send(
        encode(header, { code: 'pass', silent: false, store_history: true, allow_stdin: false })
      );
    });

  /** Execute it some times, each as soon as the one before is done. */
  globalThis.roundTrips = async ({ name, count }) => {
    const trips = [];
    while (trips.length < count) {
      trips.push(await roundTrip(name));
    }
    return trips;
  };
})();
