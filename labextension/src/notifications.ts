/**
 * What is said in a corner of the page when a launch or a kernel ends.
 */
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { createElement } from 'react';

import { COMMANDS } from './commandIds';
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
        [trans.__('%1 was not launched.', name), job.error?.message ?? '']
          .join(' ')
          .replace(/`/g, ''),
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

export function notifyOfKernelExit(
  { api, trans }: IServices,
  exit: IKernelExit
): void {
  const text = [exit.message, exit.hint].join(' ').replace(/`/g, '');
  Notification.error(text, {
    autoClose: false,
    actions: [
      {
        label: trans.__('Last words'),
        displayType: 'accent',
        callback: () =>
          void api
            .kernelLog(exit.kernelId)
            .catch(error => String(error))
            .then(log =>
              showDialog({
                title: exit.message,
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
