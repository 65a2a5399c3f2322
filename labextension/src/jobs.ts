/**
 * The launches of this server, in step through events, in every page.
 */
import type { IDisposable } from '@lumino/disposable';
import { Throttler } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import type { API } from './api';
import { hasEnded, type IJob, type IProgressEvent } from './wireJobs';

/** Least milliseconds between two requests for the layers of one launch. */
const DETAILS = 700;

export class JobsModel implements IDisposable {
  constructor(private readonly _api: Pick<API, 'jobs' | 'job'>) {
    document.addEventListener('visibilitychange', this._onVisibilityChange);
  }

  /** Oldest first. */
  get jobs(): readonly IJob[] {
    return [...this._jobs.values()];
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /**
   * Emitted once when a launch ends that this page has seen running.
   */
  get ended(): ISignal<this, IJob> {
    return this._ended;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    document.removeEventListener('visibilitychange', this._onVisibilityChange);
    this._throttlers.forEach(throttler => throttler.dispose());
    this._throttlers.clear();
    Signal.clearData(this);
  }

  find(id: string): IJob | undefined {
    return this._jobs.get(id);
  }

  /**
   * The launch of a name that runs now, or ran last.
   */
  latestOf(name: string): IJob | undefined {
    return [...this._jobs.values()].reverse().find(job => job.name === name);
  }

  async refresh(): Promise<void> {
    const jobs = await this._api.jobs();
    if (this._isDisposed) {
      return;
    }
    const known = new Set(jobs.map(job => job.id));
    for (const id of this._jobs.keys()) {
      if (!known.has(id)) {
        this._jobs.delete(id);
      }
    }
    jobs.forEach(job => this._put(job));
    this._changed.emit();
  }

  /** Take a launch that this page has begun. */
  add(job: IJob): void {
    this._put(job);
    this._changed.emit();
  }

  onEvent(event: IProgressEvent): void {
    const job = this._jobs.get(event.id);
    const isNewPhase = job !== undefined && job.phase !== event.phase;
    if (job && !hasEnded(job)) {
      const began = new Map(job.began);
      if (!began.has(event.phase)) {
        began.set(event.phase, Date.now());
      }
      if (!hasEnded(event)) {
        const news = isNewPhase ? { layers: [], message: '' } : {};
        this._jobs.set(job.id, { ...job, ...event, ...news, began });
        this._changed.emit();
      }
    }
    // The rest is not in the event: words, layers, and why it failed.
    if (hasEnded(event) || isNewPhase) {
      void this._fetch(event.id);
    } else if (document.visibilityState === 'visible') {
      void this._throttler(event.id).invoke();
    }
  }

  private _put(job: IJob): void {
    const before = this._jobs.get(job.id);
    if (before && hasEnded(before)) {
      return;
    }
    this._jobs.set(job.id, job);
    if (before && hasEnded(job)) {
      this._throttlers.get(job.id)?.dispose();
      this._throttlers.delete(job.id);
      this._ended.emit(job);
    }
  }

  private async _fetch(id: string): Promise<void> {
    let job: IJob;
    try {
      job = await this._api.job(id);
    } catch {
      // Forgotten by the server, or unreachable: the next event or refresh tells more.
      return;
    }
    if (!this._isDisposed) {
      this._put(job);
      this._changed.emit();
    }
  }

  private _throttler(id: string): Throttler<void> {
    let throttler = this._throttlers.get(id);
    if (!throttler) {
      throttler = new Throttler(() => this._fetch(id), {
        limit: DETAILS,
        edge: 'trailing'
      });
      this._throttlers.set(id, throttler);
    }
    return throttler;
  }

  private readonly _onVisibilityChange = (): void => {
    if (document.visibilityState === 'visible') {
      // Events may have been lost while a laptop slept.
      void this.refresh().catch(() => undefined);
    }
  };

  private readonly _jobs = new Map<string, IJob>();
  private readonly _throttlers = new Map<string, Throttler<void>>();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _ended = new Signal<this, IJob>(this);
  private _isDisposed = false;
}
