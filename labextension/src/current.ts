/**
 * The environment of the notebook in front.
 */
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import type { IEnvironments } from './tokens';
import type { IEnvironment } from './wire';

export class CurrentEnvironment implements IDisposable {
  constructor(
    private readonly _environments: IEnvironments,
    private readonly _tracker: INotebookTracker | null
  ) {
    _environments.changed.connect(this._update, this);
    _tracker?.currentChanged.connect(this._onPanel, this);
    this._onPanel();
  }

  /** `null` where the notebook in front is not in an environment, or there is none. */
  get environment(): IEnvironment | null {
    const kernel = this._panel?.sessionContext.session?.kernel?.name;
    return (
      this._environments.environments.find(
        environment => environment.kernelName === kernel
      ) ?? null
    );
  }

  get name(): string {
    return this.environment?.name ?? '';
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

  private _onPanel(): void {
    const panel = this._tracker?.currentWidget ?? null;
    if (panel !== this._panel) {
      this._panel?.sessionContext.kernelChanged.disconnect(this._update, this);
      this._panel = panel;
      panel?.sessionContext.kernelChanged.connect(this._update, this);
    }
    this._update();
  }

  private _update(): void {
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _panel: NotebookPanel | null = null;
  private _isDisposed = false;
}
