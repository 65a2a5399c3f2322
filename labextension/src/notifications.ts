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

/**
 * @returns A function that tells why a kernel ended, once for each end, however often it is said.
 */
export function kernelExitNotifier({
  api,
  trans
}: Pick<IServices, 'api' | 'trans'>): (
  kernelId: string,
  event?: IKernelExit
) => Promise<void> {
  const told = new Set<string>();

  const showLog = async (kernelId: string, title: string): Promise<void> => {
    const log = await api
      .lastExit(kernelId)
      .then(exit => exit.log)
      .catch(error => String(error));
    const body = log
      ? createElement(
          'pre',
          { className: 'jp-DLEnv-lastwords', tabIndex: 0 },
          log
        )
      : trans.__('It wrote nothing.');
    const close = Dialog.okButton({ label: trans.__('Close') });
    await showDialog({ title, body, buttons: [close] });
  };

  return async (kernelId, event) => {
    // Events are for all pages, and in English.
    const known = await api.lastExit(kernelId).catch(() => null);
    const said = known ?? event;
    const key = known && `${kernelId} ${known.at}`;
    if (!said || (key && told.has(key))) {
      return;
    }
    if (key) {
      told.add(key);
    }
    Notification.error(paragraph(said.message, said.hint).replace(/`/g, ''), {
      autoClose: false,
      actions: [
        {
          label: trans.__('Last words'),
          displayType: 'accent',
          callback: () => void showLog(kernelId, said.message)
        }
      ]
    });
  };
}
