/**
 * The engine that the server works with, and those that it may use instead; in step in every page.
 */
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import type { API } from './api';
import type { IEngineOffer, IEngines } from './wireEngines';

export class EnginesModel implements IDisposable {
  constructor(private readonly _api: Pick<API, 'engines' | 'useEngine'>) {
    document.addEventListener('visibilitychange', this._onVisibilityChange);
  }

  /** `null` until the server has answered. */
  get inUse(): IEngineOffer | null {
    return (
      this._known.engines.find(item => item.name === this._known.inUse) ?? null
    );
  }

  /** The name of the machine of the engine in use, if it is not that of the server. */
  get elsewhere(): string {
    return this.inUse ? machineOf(this.inUse) : '';
  }

  /** Those that may be chosen, and the one in use. */
  get offers(): readonly IEngineOffer[] {
    return this._known.engines.filter(
      item => item.isAllowed || item.name === this._known.inUse
    );
  }

  /** What `--engine` has to say for the one in use; empty for the default one. */
  get option(): string {
    const { inUse, usual } = this._known;
    return inUse === usual ? '' : inUse;
  }

  /** How often this page has seen another engine come into use. */
  get switches(): number {
    return this._switches;
  }

  /** Whether the server asks another engine on behalf of this page. */
  get isSwitching(): boolean {
    return this._isSwitching;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /**
   * Emitted when another engine is in use: all that was asked of the server is out of date.
   */
  get switched(): ISignal<this, void> {
    return this._switched;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    document.removeEventListener('visibilitychange', this._onVisibilityChange);
    Signal.clearData(this);
  }

  isUsual(offer: IEngineOffer): boolean {
    return offer.name === this._known.usual;
  }

  async refresh(): Promise<void> {
    const request = ++this._requests;
    const known = await this._api.engines();
    // The answer to a newer request is newer.
    if (request === this._requests) {
      this._take(known);
    }
  }

  /**
   * Have the server use another engine.
   *
   * @returns A promise that is rejected when the server refuses; then nothing has changed.
   */
  async use(name: string): Promise<void> {
    if (this._isSwitching || name === this._known.inUse) {
      return;
    }
    this._isSwitching = true;
    this._changed.emit();
    try {
      const known = await this._api.useEngine(name);
      this._requests += 1;
      this._take(known);
    } finally {
      this._isSwitching = false;
      if (!this._isDisposed) {
        this._changed.emit();
      }
    }
  }

  private _take(known: IEngines): void {
    if (this._isDisposed) {
      return;
    }
    const before = this._known;
    this._known = known;
    this._changed.emit();
    if (before.inUse !== '' && before.inUse !== known.inUse) {
      this._switches += 1;
      this._switched.emit();
    }
  }

  private readonly _onVisibilityChange = (): void => {
    if (document.visibilityState === 'visible') {
      // The event may have been lost while a laptop slept.
      void this.refresh().catch(() => undefined);
    }
  };

  private readonly _changed = new Signal<this, void>(this);
  private readonly _switched = new Signal<this, void>(this);
  private _known: IEngines = { inUse: '', usual: '', engines: [] };
  private _requests = 0;
  private _switches = 0;
  private _isSwitching = false;
  private _isDisposed = false;
}

/**
 * What to call the machine of an engine, if that is another than the server's; else empty.
 */
export function machineOf({ name, address }: IEngineOffer): string {
  const host = /^(?:tcp|ssh):\/\/(?:[^@/]*@)?(\[[^\]]+\]|[^:/]+)/.exec(
    address
  )?.[1];
  // Who has given the engine a name knows the machine by it.
  return host && name !== 'docker' && name !== address ? name : (host ?? '');
}
