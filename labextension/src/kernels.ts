/**
 * The kernels that run in environments, and the documents that use them.
 */
import type { Session } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

export interface IKernelUse {
  readonly path: string;
  readonly name: string;
  readonly type: string;
  readonly busy: boolean;
  /** Milliseconds since the epoch. */
  readonly lastActivity: number;
}

export class KernelsModel implements IDisposable {
  constructor(private readonly _sessions: Session.IManager) {
    _sessions.runningChanged.connect(this._onChanged, this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      Signal.clearData(this);
    }
  }

  of(kernelName: string): readonly IKernelUse[] {
    return [...this._sessions.running()]
      .filter(session => session.kernel?.name === kernelName)
      .map(session => ({
        path: session.path,
        name: session.name || (session.path.split('/').pop() ?? ''),
        type: session.type,
        busy: session.kernel?.execution_state === 'busy',
        lastActivity: Date.parse(session.kernel?.last_activity ?? '')
      }));
  }

  private _onChanged(): void {
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _isDisposed = false;
}
