/**
 * What is being done to environments from this page, until the server has answered.
 */
import { type ISignal, Signal } from '@lumino/signaling';

export type Action = 'starting' | 'stopping' | 'restarting' | 'removing';

export class Actions {
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  of(name: string): Action | null {
    return this._running.get(name) ?? null;
  }

  async run<T>(
    name: string,
    action: Action,
    work: () => Promise<T>
  ): Promise<T> {
    this._running.set(name, action);
    this._changed.emit();
    try {
      return await work();
    } finally {
      this._running.delete(name);
      this._changed.emit();
    }
  }

  private readonly _running = new Map<string, Action>();
  private readonly _changed = new Signal<this, void>(this);
}
