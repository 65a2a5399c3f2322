import { EnvironmentsModel } from '../model';
import { type IEnvironment, parseEnvironment } from '../wire';

const BERT: IEnvironment = parseEnvironment(
  {
    name: 'bert',
    status: 'running',
    image: 'pytorch',
    gpus: 2,
    kernel_name: 'dlenv-bert',
    engine: 'docker'
  },
  'BERT'
);

/**
 * A server whose answers the test gives by hand.
 */
class Server {
  readonly list = (): Promise<readonly IEnvironment[]> =>
    new Promise((resolve, reject) => {
      this.requests.push({ answer: resolve, fail: reject });
    });

  readonly requests: {
    answer: (environments: readonly IEnvironment[]) => void;
    fail: (error: Error) => void;
  }[] = [];

  async request(index: number) {
    for (let passes = 0; passes < 50 && !this.requests[index]; passes++) {
      await jest.advanceTimersByTimeAsync(20);
    }
    const request = this.requests[index];
    if (!request) {
      throw new Error(`There was no request ${index}.`);
    }
    return request;
  }
}

let visibility: DocumentVisibilityState = 'visible';

function show(state: DocumentVisibilityState): void {
  visibility = state;
  document.dispatchEvent(new Event('visibilitychange'));
}

describe('EnvironmentsModel', () => {
  let server: Server;
  let model: EnvironmentsModel;
  let changes: number;

  beforeEach(() => {
    jest.useFakeTimers();
    jest
      .spyOn(document, 'visibilityState', 'get')
      .mockImplementation(() => visibility);
    show('visible');
    server = new Server();
    model = new EnvironmentsModel(server.list);
    changes = 0;
    model.changed.connect(() => {
      changes += 1;
    });
  });

  afterEach(() => {
    model.dispose();
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  async function settle(): Promise<void> {
    await jest.advanceTimersByTimeAsync(0);
  }

  it('tells of the first environments', async () => {
    (await server.request(0)).answer([BERT]);
    await settle();

    expect(model.environments).toEqual([BERT]);
    expect(changes).toBe(1);
  });

  it('is silent when nothing has changed', async () => {
    (await server.request(0)).answer([BERT]);
    await settle();
    model.notify();
    (await server.request(1)).answer([{ ...BERT }]);
    await settle();

    expect(changes).toBe(1);
  });

  it('asks again when it is notified while a request is under way', async () => {
    const first = await server.request(0);
    model.notify();
    const second = await server.request(1);
    second.answer([BERT]);
    await settle();
    first.answer([]);
    await settle();

    expect(model.environments).toEqual([BERT]);
  });

  it('makes one request of a burst of notifications', async () => {
    (await server.request(0)).answer([]);
    await settle();
    for (let i = 0; i < 10; i++) {
      model.notify();
    }
    await jest.advanceTimersByTimeAsync(1000);

    expect(server.requests.length).toBe(2);
  });

  it('leaves the server alone while the page is hidden, and asks when it is seen', async () => {
    (await server.request(0)).answer([]);
    await settle();
    show('hidden');
    model.notify();
    await jest.advanceTimersByTimeAsync(500_000);
    expect(server.requests.length).toBe(1);

    show('visible');
    (await server.request(1)).answer([BERT]);
    await settle();

    expect(model.environments).toEqual([BERT]);
  });

  it('tells who refreshes by hand that the server failed', async () => {
    (await server.request(0)).answer([BERT]);
    await settle();
    const refreshed = expect(model.refresh()).rejects.toThrow('unreachable');
    (await server.request(1)).fail(new Error('unreachable'));
    await refreshed;

    expect(model.environments).toEqual([BERT]);
    expect(model.failure?.message).toBe('unreachable');
  });

  it('waits for an answer that is newer than the call', async () => {
    const older = await server.request(0);
    const refreshed = model.refresh();
    const newer = await server.request(1);
    older.answer([]);
    await settle();
    newer.answer([BERT]);
    await refreshed;

    expect(model.environments).toEqual([BERT]);
  });

  it('ignores an answer that comes after it was disposed', async () => {
    const request = await server.request(0);
    model.dispose();
    request.answer([BERT]);
    await settle();

    expect(model.environments).toEqual([]);
    expect(model.isDisposed).toBe(true);
  });
});
