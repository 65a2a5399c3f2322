/**
 * The environments of this server, kept fresh while the page is visible.
 */
import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import { failureOf } from './api';
import type { IEnvironments } from './tokens';
import type { IEnvironment, IFailure } from './wire';

/**
 * Asks seldom, because the server says when something changes (`notify`);
 * this finds what it could not say, such as events lost while a laptop slept.
 */
const FREQUENCY = { interval: 60_000, backoff: true, max: 300_000 };

/**
 * A launch changes an environment several times at once; one request is enough.
 */
const SETTLE = 100;

export class EnvironmentsModel implements IEnvironments, IDisposable {
  /**
   * @param list - Asks the server.
   * @param begin - When it is asked for the first time; by default at once.
   */
  constructor(
    list: () => Promise<readonly IEnvironment[]>,
    begin?: Promise<unknown>
  ) {
    this._list = list;
    this._poll = new Poll({
      auto: begin === undefined,
      name: 'jupyter-dlenv:environments',
      factory: () => this._fetch(),
      frequency: FREQUENCY,
      linger: 0,
      standby: 'when-hidden'
    });
    const start = (): void => {
      if (!this.isDisposed && this._requests === 0) {
        void this._poll.start();
      }
    };
    void begin?.then(start, start);
    document.addEventListener('visibilitychange', this._onVisibilityChange);
  }

  get environments(): readonly IEnvironment[] {
    return this._environments;
  }

  /** Whether the server has answered once. */
  get isReady(): boolean {
    return this._isReady;
  }

  /** Why the last request failed; `null` if it did not. */
  get failure(): IFailure | null {
    return this._failure;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  dispose(): void {
    document.removeEventListener('visibilitychange', this._onVisibilityChange);
    this._poll.dispose();
    Signal.clearData(this);
  }

  async refresh(): Promise<void> {
    // Not the answer to a request that is under way, which may be older than the change.
    await this._poll.schedule({ interval: 0, phase: 'refreshed' });
    do {
      await this._poll.tick;
    } while (this._poll.state.phase === 'refreshed');
    const { phase, payload } = this._poll.state;
    if (phase === 'rejected') {
      throw payload;
    }
  }

  /**
   * Something changed, says the server.  A hidden page asks when it is seen again.
   */
  notify(): void {
    // Not `refresh`, which does nothing while a request is under way: the answer to
    // that one may be older than the change.
    void this._poll.schedule({ interval: SETTLE, phase: 'refreshed' });
  }

  private async _fetch(): Promise<void> {
    const request = ++this._requests;
    // The page may have gone meanwhile, or a newer request overtaken this one.
    const isLate = (): boolean => this.isDisposed || request !== this._requests;
    let environments: readonly IEnvironment[];
    try {
      environments = await this._list();
    } catch (error) {
      if (!isLate()) {
        this._take(this._environments, failureOf(error));
      }
      throw error;
    }
    if (!isLate()) {
      const isFirst = !this._isReady;
      this._isReady = true;
      this._take(environments, null, isFirst);
    }
  }

  private _take(
    environments: readonly IEnvironment[],
    failure: IFailure | null,
    // That there is none is news, too.
    isFirst = false
  ): void {
    const before = JSON.stringify([this._environments, this._failure]);
    const now = JSON.stringify([environments, failure]);
    if (isFirst || before !== now) {
      this._environments = kept(environments, this._environments);
      this._failure = failure;
      this._changed.emit();
    }
  }

  private readonly _onVisibilityChange = (): void => {
    if (document.visibilityState === 'visible') {
      this.notify();
    }
  };

  private readonly _list: () => Promise<readonly IEnvironment[]>;
  private readonly _poll: Poll<void, Error>;
  private readonly _changed = new Signal<this, void>(this);
  private _requests = 0;
  private _isReady = false;
  private _failure: IFailure | null = null;
  private _environments: readonly IEnvironment[] = [];
}

/** The same list; what is as it was is the object that it was, and is not drawn again. */
function kept(
  environments: readonly IEnvironment[],
  before: readonly IEnvironment[]
): readonly IEnvironment[] {
  const known = new Map(before.map(item => [JSON.stringify(item), item]));
  return environments.map(item => known.get(JSON.stringify(item)) ?? item);
}
