import { ServerConnection } from '@jupyterlab/services';

import { API } from '../api';
import { retried } from '../retry';

/** A network that breaks the first requests off, and counts them. */
class Network {
  requests = 0;

  constructor(private readonly _breaksOff: number) {}

  readonly fetch = async (): Promise<Response> => {
    this.requests += 1;
    if (this.requests <= this._breaksOff) {
      throw new TypeError('Failed to fetch');
    }
    return new Response('{"environments": [], "jobs": []}');
  };

  api(): API {
    const fetch: ServerConnection.ISettings['fetch'] = this.fetch;
    return new API(ServerConnection.makeSettings({ fetch }), 'en');
  }
}

describe('the API on a network that changes', () => {
  it('asks again for what it reads', async () => {
    const network = new Network(2);

    expect(await network.api().environments()).toEqual([]);

    expect(network.requests).toBe(3);
  });

  it('gives up in the end', async () => {
    const network = new Network(Infinity);

    await expect(network.api().environments()).rejects.toThrow(
      'Failed to fetch'
    );

    expect(network.requests).toBe(4);
  });

  it('does not do twice what may have been done', async () => {
    const network = new Network(1);

    await expect(network.api().remove('x')).rejects.toThrow('Failed to fetch');

    expect(network.requests).toBe(1);
  });

  it('lets whoever asked break off', async () => {
    const network = new Network(Infinity);
    const asking = new AbortController();
    asking.abort();

    await expect(network.api().tags('python', asking.signal)).rejects.toThrow();

    expect(network.requests).toBe(1);
  });
});

describe('retried', () => {
  it('loads a module that did not come the first time', async () => {
    const answers = [Promise.reject(new Error('Loading failed')), 'module'];

    expect(await retried(async () => await answers.shift())).toBe('module');
  });
});
