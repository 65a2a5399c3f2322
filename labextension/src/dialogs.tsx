/**
 * Questions that are asked before something is lost.
 */
import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import type { IEnvironment } from './wire';

export async function confirmRemove(
  environment: IEnvironment,
  kernels: number,
  trans: TranslationBundle
): Promise<boolean> {
  const { name, mounts } = environment;
  const goes = [
    trans.__('its container, and all that was installed in it'),
    trans.__('its home directory'),
    trans.__('its SSH keys and forwards'),
    kernels > 0
      ? trans._n('%1 running kernel', '%1 running kernels', kernels)
      : ''
  ].filter(Boolean);
  const stays = mounts.map(mount => mount.split(':')[0] ?? mount);
  const answer = await showDialog({
    title: trans.__('Remove %1?', name),
    body: (
      <div className="jp-DLEnv-dialog">
        <p>{trans.__('This goes:')}</p>
        <ul>
          {goes.map(item => (
            <li key={item}>{item}</li>
          ))}
        </ul>
        {stays.length > 0 && (
          <>
            <p>{trans.__('This stays, with all files:')}</p>
            <ul>
              {stays.map(item => (
                <li key={item}>
                  <code>{item}</code>
                </li>
              ))}
            </ul>
          </>
        )}
      </div>
    ),
    defaultButton: 0,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.warnButton({ label: trans.__('Remove %1', name) })
    ]
  });
  return answer.button.accept;
}

export async function confirmEnd(
  action: 'stop' | 'restart' | 'recreate',
  name: string,
  kernels: number,
  trans: TranslationBundle
): Promise<boolean> {
  if (kernels === 0 && action !== 'recreate') {
    return true;
  }
  const words = [
    kernels > 0
      ? trans._n(
          '%1 kernel runs in it and loses its variables. Files are kept.',
          '%1 kernels run in it and lose their variables. Files are kept.',
          kernels
        )
      : '',
    action === 'recreate'
      ? trans.__(
          'What was installed outside of its home directory and mounts is lost.'
        )
      : ''
  ];
  const titles = {
    stop: trans.__('Stop %1?', name),
    restart: trans.__('Restart %1?', name),
    recreate: trans.__('Use other GPUs for %1?', name)
  };
  const labels = {
    stop: trans.__('Stop'),
    restart: trans.__('Restart'),
    recreate: trans.__('Use other GPUs')
  };
  const answer = await showDialog({
    title: titles[action],
    body: (
      <div className="jp-DLEnv-dialog">
        {words.filter(Boolean).map(sentence => (
          <p key={sentence}>{sentence}</p>
        ))}
      </div>
    ),
    // Whoever presses Enter too soon loses nothing.
    defaultButton: 0,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.warnButton({ label: labels[action] })
    ]
  });
  return answer.button.accept;
}

/**
 * Ask which environment is meant.
 */
export async function pick(
  title: string,
  label: string,
  names: readonly string[],
  okLabel: string,
  trans: TranslationBundle
): Promise<string | null> {
  if (names.length === 0) {
    await showDialog({
      title,
      body: trans.__('There is no environment for this.'),
      buttons: [Dialog.okButton({ label: trans.__('Close') })]
    });
    return null;
  }
  const answer = await showDialog({
    title,
    body: new Choice(label, names),
    focusNodeSelector: 'select',
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: okLabel })
    ]
  });
  return answer.button.accept ? answer.value : null;
}

/**
 * JupyterLab's own `InputDialog` tells a screen reader nothing of what is chosen.
 */
class Choice extends Widget implements Dialog.IBodyWidget<string> {
  constructor(label: string, names: readonly string[]) {
    super();
    this.addClass('jp-DLEnv-choice');
    const words = document.createElement('label');
    words.textContent = label;
    this._select.append(...names.map(name => new Option(name)));
    words.append(this._select);
    this.node.append(words);
  }

  getValue(): string {
    return this._select.value;
  }

  private readonly _select = document.createElement('select');
}
