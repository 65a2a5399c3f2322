/**
 * What is said in a corner of the page when a launch ends.
 */
import { Notification } from '@jupyterlab/apputils';

import { COMMANDS } from './commandIds';
import type { IServices } from './services';
import type { IJob } from './wireJobs';

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
