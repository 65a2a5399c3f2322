/**
 * The widget around every React view: its services, and whether it can be seen.
 */
import { ReactWidget } from '@jupyterlab/apputils';
import type { Message } from '@lumino/messaging';
import { type ISignal, Signal } from '@lumino/signaling';
import * as React from 'react';

import { type IServices, type IShown, Services } from './services';

export class View extends ReactWidget implements IShown {
  constructor(
    private readonly _services: IServices,
    private readonly _content: (view: View) => JSX.Element,
    ...classes: string[]
  ) {
    super();
    this.node.tabIndex = -1;
    ['jp-DLEnv', ...classes].forEach(name => this.addClass(name));
  }

  get shownChanged(): ISignal<this, void> {
    return this._shownChanged;
  }

  protected override render(): JSX.Element {
    return (
      <Services.Provider value={this._services}>
        <React.Suspense fallback={null}>
          {this._content(this)}
          <Loaded onLoaded={this._onLoaded} />
        </React.Suspense>
      </Services.Provider>
    );
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._shownChanged.emit();
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this._shownChanged.emit();
  }

  protected override onActivateRequest(): void {
    // Never a button: whoever presses Enter next has not chosen it.
    const first = this.node.querySelector<HTMLElement>('[data-first-focus]');
    (first ?? this.node).focus();
  }

  /** What should have had the focus may have come only now. */
  private readonly _onLoaded = (): void => {
    if (this.node === document.activeElement) {
      this.onActivateRequest();
    }
  };

  private readonly _shownChanged = new Signal<this, void>(this);
}

/** Beside something that is loaded, it is on the page when that is. */
function Loaded(props: { readonly onLoaded: () => void }): null {
  const { onLoaded } = props;
  React.useEffect(onLoaded, [onLoaded]);
  return null;
}
