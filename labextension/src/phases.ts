/**
 * What the phases of a launch are called.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Phase } from './wireJobs';

export function phaseWord(phase: Phase, trans: TranslationBundle): string {
  switch (phase) {
    case 'queued':
      return trans.__('Queued');
    case 'pulling':
      return trans.__('Pulling');
    case 'preparing':
      return trans.__('Preparing');
    case 'waiting':
      return trans.__('Waiting for GPUs');
    case 'creating':
      return trans.__('Creating');
    case 'starting':
      return trans.__('Starting');
    case 'ready':
      return trans.__('Ready');
    case 'failed':
      return trans.__('Failed');
    case 'cancelled':
      return trans.__('Cancelled');
  }
}
