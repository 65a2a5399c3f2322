/**
 * What is said in a corner of the page when a launch or a kernel ends.
 */
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { createElement } from 'react';

import { COMMANDS } from './commandIds';
import { paragraph } from './sentences';
import type { IServices } from './services';
import type { IIdleWarning } from './wire';
import type { IJob } from './wireJobs';
import type { IKernelExit } from './wireKernels';

export function notifyOfLaunches(services: IServices): void {
  const { jobs, trans, run } = services;
  jobs.ended.connect((_, job: IJob) => {
    const { id, name } = job;
    if (job.phase === 'ready') {
      Notification.success(trans.__('%1 is ready', name), {
        autoClose: 15_000,
        actions: [
          {
            label: trans.__('Connect'),
            callback: () => run(COMMANDS.connect, { name })
          },
          {
            label: trans.__('Open notebook'),
            displayType: 'accent',
            callback: () => run(COMMANDS.notebook, { name })
          }
        ]
      });
    } else if (job.phase === 'failed') {
      Notification.error(
        paragraph(
          trans.__('%1 was not launched.', name),
          job.error?.message ?? ''
        ).replace(/`/g, ''),
        {
          autoClose: false,
          actions: [
            {
              label: trans.__('Explain'),
              displayType: 'accent',
              callback: () => run(COMMANDS.showLaunch, { id, name })
            }
          ]
        }
      );
    }
  });
}

export function notifyOfIdleness(
  { trans, run }: IServices,
  { name, seconds }: IIdleWarning
): void {
  Notification.warning(
    trans.__(
      'Nobody uses %1. It stops in %2 minutes.',
      name,
      Math.max(1, Math.round(seconds / 60))
    ),
    {
      autoClose: 1000 * seconds || false,
      actions: [
        {
          label: trans.__('Keep it running'),
          displayType: 'accent',
          // To start what runs is a use.
          callback: () => run(COMMANDS.start, { name })
        }
      ]
    }
  );
}

export async function notifyOfKernelExit(
  { api, trans }: IServices,
  exit: IKernelExit
): Promise<void> {
  // Events are for all pages, and in English.
  const said = await api.lastExit(exit.kernelId).catch(() => exit);
  const text = paragraph(said.message, said.hint).replace(/`/g, '');
  Notification.error(text, {
    autoClose: false,
    actions: [
      {
        label: trans.__('Last words'),
        displayType: 'accent',
        callback: () =>
          void api
            .lastExit(exit.kernelId)
            .then(({ log }) => log)
            .catch(error => String(error))
            .then(log =>
              showDialog({
                title: said.message,
                body: log
                  ? createElement(
                      'pre',
                      { className: 'jp-DLEnv-lastwords', tabIndex: 0 },
                      log
                    )
                  : trans.__('It wrote nothing.'),
                buttons: [Dialog.okButton({ label: trans.__('Close') })]
              })
            )
      }
    ]
  });
}
