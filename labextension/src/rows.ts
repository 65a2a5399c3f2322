/**
 * What the sidebar lists: environments, and launches that are to become some.
 */
import type { IEnvironment } from './wire';
import { hasEnded, type IJob } from './wireJobs';

export type Row =
  | { readonly name: string; readonly environment: IEnvironment }
  | { readonly name: string; readonly job: IJob };

/**
 * Environments and launches in one list: what is stopped last, then by name.
 *
 * A launch stands for its environment until that is complete; one that failed stays until
 * somebody has read why.
 */
export function merge(
  environments: readonly IEnvironment[],
  jobs: readonly IJob[],
  dismissed: readonly string[]
): readonly Row[] {
  const rows = new Map<string, Row>();
  for (const job of jobs) {
    const isOpen = job.phase === 'failed' && !dismissed.includes(job.id);
    if (!hasEnded(job) || isOpen) {
      rows.set(job.name, { name: job.name, job });
    } else {
      rows.delete(job.name);
    }
  }
  for (const environment of environments) {
    const row = rows.get(environment.name);
    const isLaunching = environment.status === 'launching';
    if (!row || !isLaunching) {
      rows.set(environment.name, { name: environment.name, environment });
    }
  }
  const isStopped = (row: Row): boolean =>
    'environment' in row && row.environment.status === 'stopped';
  return [...rows.values()].sort(
    (a, b) =>
      Number(isStopped(a)) - Number(isStopped(b)) || (a.name < b.name ? -1 : 1)
  );
}
