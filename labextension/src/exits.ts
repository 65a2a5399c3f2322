/**
 * Why a kernel of an environment has ended: said at once, with its last words at hand.
 */
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import * as React from 'react';

import type { IServices } from './services';
import { type JSONRecord, text } from './wire';

const EXIT_EVENT = 'https://schema.jupyter-dlenv.org/kernel-exit/v1';

export function notifyOfExits(services: IServices, event: JSONRecord): void {
  if (event['schema_id'] !== EXIT_EVENT) {
    return;
  }
  const { api, trans } = services;
  const id = text(event, 'kernel_id');
  const message = text(event, 'message').replace(/`/g, '');
  const hint = text(event, 'hint').replace(/`/g, '');
  Notification.error([message, hint].filter(Boolean).join(' '), {
    autoClose: false,
    actions: [
      {
        label: trans.__('Last words'),
        callback: () => {
          api.lastWords(id).then(
            log => showWords(message, log, services),
            error => showWords(message, String(error), services)
          );
        }
      }
    ]
  });
}

function showWords(title: string, log: string, services: IServices): void {
  const { trans } = services;
  void showDialog({
    title,
    body: React.createElement(
      'pre',
      { className: 'jp-DLEnv-lastwords', tabIndex: 0 },
      log || trans.__('It wrote nothing.')
    ),
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}
