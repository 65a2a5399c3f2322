/**
 * The GPUs of the server's machine, read while somebody looks at them.
 */
import { DisposableDelegate, type IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import type { IBoard, IGpu } from './wireGpus';

const FREQUENCY = { interval: 2_000, backoff: true, max: 30_000 };
/** Five minutes. */
const MOST_SAMPLES = 150;

export class GpusModel implements IDisposable {
  constructor(read: (count: number) => Promise<IBoard>) {
    this._read = read;
    this._poll = new Poll({
      auto: false,
      name: 'jupyter-dlenv:gpus',
      factory: () => this._fetch(),
      frequency: FREQUENCY,
      linger: 0,
      standby: 'when-hidden'
    });
  }

  /** As last seen; `null` until then. */
  get board(): IBoard | null {
    return this._board;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  dispose(): void {
    this._poll.dispose();
    Signal.clearData(this);
  }

  /**
   * Read the GPUs until the result is disposed.
   */
  watch(): IDisposable {
    this._lookers += 1;
    if (this._lookers === 1) {
      void this._poll.start();
    }
    return new DisposableDelegate(() => {
      this._lookers -= 1;
      if (this._lookers === 0 && !this.isDisposed) {
        void this._poll.stop();
      }
    });
  }

  /**
   * How many GPUs the launch wants that is prepared; the board says which it would take.
   */
  want(count: number): void {
    if (count !== this._count) {
      this._count = count;
      this.refresh();
    }
  }

  /** Something changed; does nothing while nobody looks. */
  refresh(): void {
    if (this._lookers > 0 && !this.isDisposed) {
      void this._poll.schedule({ interval: 0, phase: 'refreshed' });
    }
  }

  /** They are those of another machine from now on. */
  forget(): void {
    this._requests += 1;
    this._board = null;
    this._history.clear();
    this._changed.emit();
    this.refresh();
  }

  /**
   * Loads of the last minutes, oldest first, in percent.
   */
  history(uuid: string): readonly number[] {
    return this._history.get(uuid) ?? [];
  }

  /**
   * Those that an environment has.
   */
  of(environment: {
    readonly name: string;
    readonly gpuUuids: readonly string[];
  }): readonly IGpu[] {
    return (this._board?.gpus ?? []).filter(
      gpu =>
        gpu.environment === environment.name ||
        environment.gpuUuids.includes(gpu.uuid)
    );
  }

  private async _fetch(): Promise<void> {
    const request = ++this._requests;
    const board = await this._read(this._count);
    if (this.isDisposed || request !== this._requests) {
      return;
    }
    this._board = board;
    for (const gpu of board.gpus) {
      const samples = this._history.get(gpu.uuid) ?? [];
      samples.push(gpu.utilization ?? 0);
      samples.splice(0, samples.length - MOST_SAMPLES);
      this._history.set(gpu.uuid, samples);
    }
    this._changed.emit();
  }

  private readonly _read: (count: number) => Promise<IBoard>;
  private readonly _poll: Poll<void, Error>;
  private readonly _history = new Map<string, number[]>();
  private readonly _changed = new Signal<this, void>(this);
  private _board: IBoard | null = null;
  private _requests = 0;
  private _lookers = 0;
  private _count = 0;
}
