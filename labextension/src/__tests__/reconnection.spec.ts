import type { Kernel } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import { Reconnection } from '../reconnection';

/** A notebook, as JupyterLab knows it, and a server that comes and goes. */
class Notebook {
  reconnected = 0;
  isServerThere = true;
  asked = 0;
  readonly connectionStatusChanged = new Signal<this, Kernel.ConnectionStatus>(
    this
  );
  readonly session: {
    kernel: {
      connectionStatus: Kernel.ConnectionStatus;
      reconnect: () => Promise<void>;
    } | null;
  } = {
    kernel: {
      connectionStatus: 'connected',
      reconnect: async () => {
        this.reconnected += 1;
      }
    }
  };

  readonly ask = async (): Promise<void> => {
    this.asked += 1;
    if (!this.isServerThere) {
      throw new TypeError('Failed to fetch');
    }
  };

  become(status: Kernel.ConnectionStatus): void {
    if (this.session.kernel) {
      this.session.kernel.connectionStatus = status;
    }
    this.connectionStatusChanged.emit(status);
  }
}

describe('Reconnection', () => {
  let notebook: Notebook;
  let reconnection: Reconnection;

  beforeEach(() => {
    jest.useFakeTimers({
      doNotFake: ['queueMicrotask', 'nextTick', 'requestAnimationFrame']
    });
    notebook = new Notebook();
    reconnection = new Reconnection(notebook.ask);
    reconnection.watch(notebook);
  });

  afterEach(() => {
    reconnection.dispose();
    jest.useRealTimers();
  });

  it('connects once, when a server that was away is back', async () => {
    notebook.isServerThere = false;
    notebook.become('connecting');
    await jest.advanceTimersByTimeAsync(5_000);
    expect(notebook.reconnected).toBe(0);

    notebook.isServerThere = true;
    await jest.advanceTimersByTimeAsync(25_000);

    expect(notebook.reconnected).toBe(1);
  });

  it('connects again, when the server goes away again', async () => {
    for (const isThere of [false, true, false, true]) {
      notebook.isServerThere = isThere;
      notebook.become('connecting');
      await jest.advanceTimersByTimeAsync(12_000);
    }

    expect(notebook.reconnected).toBe(2);
  });

  it('leaves a connection alone that only takes its time', async () => {
    notebook.become('connecting');
    await jest.advanceTimersByTimeAsync(10_000);

    expect(notebook.reconnected).toBe(0);
  });

  it('leaves the next connection alone, if the notebook closed meanwhile', async () => {
    const { kernel } = notebook.session;
    notebook.isServerThere = false;
    notebook.become('connecting');
    await jest.advanceTimersByTimeAsync(3_000);
    notebook.session.kernel = null;
    await jest.advanceTimersByTimeAsync(10_000);

    notebook.isServerThere = true;
    notebook.session.kernel = kernel;
    notebook.become('connecting');
    await jest.advanceTimersByTimeAsync(10_000);

    expect(notebook.reconnected).toBe(0);
  });

  it('tells once that a server is back, also without a notebook', async () => {
    let told = 0;
    reconnection.back.connect(() => (told += 1));
    notebook.isServerThere = false;
    for (let failure = 0; failure < 3; failure += 1) {
      reconnection.suspect();
      await jest.advanceTimersByTimeAsync(4_000);
    }
    expect(told).toBe(0);

    notebook.isServerThere = true;
    await jest.advanceTimersByTimeAsync(12_000);
    const { asked } = notebook;
    await jest.advanceTimersByTimeAsync(60_000);

    expect([told, notebook.reconnected]).toEqual([1, 0]);
    expect(notebook.asked).toBe(asked);
  });

  it('tells nothing when a server was not away', async () => {
    let told = 0;
    reconnection.back.connect(() => (told += 1));

    reconnection.suspect();
    await jest.advanceTimersByTimeAsync(60_000);

    expect([told, notebook.asked]).toEqual([0, 1]);
  });

  it.each([
    ['a notebook closed', () => void (notebook.session.kernel = null)],
    ['it is connected', () => notebook.become('connected')]
  ])('asks no more when %s', async (_, happen) => {
    notebook.isServerThere = false;
    notebook.become('connecting');
    await jest.advanceTimersByTimeAsync(3_000);
    happen();
    await jest.advanceTimersByTimeAsync(10_000);
    const { asked } = notebook;

    await jest.advanceTimersByTimeAsync(60_000);

    expect(notebook.asked).toBe(asked);
  });

  it('does not ask for ever, though the server answers', async () => {
    notebook.become('disconnected');
    await jest.advanceTimersByTimeAsync(120_000);
    const { asked } = notebook;

    await jest.advanceTimersByTimeAsync(60_000);

    expect(notebook.asked).toBe(asked);
    expect(notebook.reconnected).toBe(0);
  });
});
