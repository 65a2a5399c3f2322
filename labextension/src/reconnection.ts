/**
 * Notices when a server that was away is back, and has notebooks connected again.
 *
 * JupyterLab itself waits ten to thirty seconds once a connection was refused, also for the events
 * by which views know what happens.
 */
import type { Kernel } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

const FREQUENCY = { interval: 1_000, backoff: 1.3, max: 10_000 };

/** How often a server is looked at that answers, while a notebook is not connected. */
const PATIENCE = 30;

/** What of a session's context matters here. */
export interface IConnected {
  readonly connectionStatusChanged: ISignal<unknown, Kernel.ConnectionStatus>;
  readonly session: {
    readonly kernel: Pick<
      Kernel.IKernelConnection,
      'connectionStatus' | 'reconnect'
    > | null;
  } | null;
}

export class Reconnection implements IDisposable {
  /**
   * @param ask - Asks the server for anything; fails while that is away.
   */
  constructor(private readonly _ask: () => Promise<unknown>) {
    this._poll = new Poll({
      auto: false,
      name: 'jupyter-dlenv:reconnection',
      factory: () => this._look(),
      frequency: FREQUENCY,
      standby: 'when-hidden'
    });
  }

  /** Emitted when the server is back: what was known of it is out of date. */
  get back(): ISignal<this, void> {
    return this._back;
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  dispose(): void {
    this._poll.dispose();
    Signal.clearData(this);
  }

  /** Look whether the server is away: something could not be had of it. */
  suspect(): void {
    if (!this._isSuspected && !this.isDisposed) {
      this._isSuspected = true;
      this._patience = PATIENCE;
      void this._poll.refresh();
    }
  }

  /** Look after a notebook for as long as it is open. */
  watch(context: IConnected): void {
    context.connectionStatusChanged.connect((_, status) => {
      if (status !== 'connected' && !this.isDisposed) {
        this._patience = PATIENCE;
        this._lost.add(context);
        void this._poll.refresh();
      }
    });
  }

  private async _look(): Promise<void> {
    for (const context of this._lost) {
      const status = statusOf(context);
      if (status === undefined || status === 'connected') {
        this._lost.delete(context);
      }
    }
    const isQuiet = this._lost.size === 0 && !this._isSuspected;
    if (isQuiet || this._patience === 0) {
      this._lost.clear();
      this._isAway = false;
      void this._poll.stop();
      return;
    }
    try {
      await this._ask();
    } catch (error) {
      this._isAway = true;
      this._patience = PATIENCE;
      throw error;
    }
    this._patience -= 1;
    this._isSuspected = false;
    // Once: a connection may take long to a kernel that starts, and would never be made.
    if (this._isAway) {
      this._isAway = false;
      for (const context of this._lost) {
        // It tries a few times itself, and shows what comes of it.
        context.session?.kernel?.reconnect().catch(() => undefined);
      }
      this._back.emit();
    }
  }

  private readonly _poll: Poll;
  private readonly _lost = new Set<IConnected>();
  private readonly _back = new Signal<this, void>(this);
  private _isAway = false;
  private _isSuspected = false;
  private _patience = 0;
}

function statusOf(context: IConnected): Kernel.ConnectionStatus | undefined {
  return context.session?.kernel?.connectionStatus;
}
