/**
 * What is meant by the names of GPUs that somebody wrote or picked.
 */
import type { IBoard } from './wireGpus';

/** Whether a UUID is that of a part of a GPU. */
export function isPart(uuid: string, board: IBoard | null): boolean {
  return (board?.gpus ?? []).some(gpu => gpu.mig.some(m => m.uuid === uuid));
}

/** UUIDs of what somebody wrote as an index, a UUID or `all`. */
export function named(device: string, board: IBoard | null): readonly string[] {
  const [index, part] = device.split(':').map(Number);
  if (device !== 'all' && Number.isNaN(index)) {
    return [device];
  }
  return (board?.gpus ?? [])
    .filter(gpu => device === 'all' || gpu.index === index)
    .flatMap(gpu =>
      part === undefined ? [gpu] : gpu.mig.filter(m => m.index === part)
    )
    .map(found => found.uuid);
}
