/**
 * What was launched from this browser before, if it keeps anything.
 *
 * Not the state database, which Notebook 7 has none of.
 */
import type { IChoice } from './launchRequest';
import { isObject, texts } from './wire';

/** Images that are offered again. */
const MOST = 3;

export interface ILastLaunch {
  readonly choice: Partial<IChoice>;
  /** References of images, the last one first. */
  readonly images: readonly string[];
}

export function remember(baseUrl: string, choice: IChoice): void {
  const { image, gpus, sharedMemory, user, idleStop, project } = choice;
  if (project) {
    // It is offered wherever its file lies, and nowhere else.
    return;
  }
  const others = recall(baseUrl).images.filter(known => known !== image);
  const images = [image, ...others].slice(0, MOST);
  // Variables may be secrets.
  const kept = { image, gpus, sharedMemory, user, idleStop, images };
  try {
    localStorage.setItem(key(baseUrl), JSON.stringify(kept));
  } catch {
    // The browser keeps nothing for us: then nothing is remembered.
  }
}

export function recall(baseUrl: string): ILastLaunch {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(key(baseUrl)) ?? '');
    if (isObject(kept)) {
      const { image, gpus, sharedMemory, user, idleStop } = kept;
      return {
        choice: {
          ...(typeof image === 'string' ? { image } : {}),
          ...(typeof gpus === 'number' ? { gpus } : {}),
          ...(typeof sharedMemory === 'string' ? { sharedMemory } : {}),
          ...(typeof user === 'string' ? { user } : {}),
          ...(typeof idleStop === 'string' ? { idleStop } : {})
        },
        images: texts(kept, 'images')
      };
    }
  } catch {
    // Nothing was kept, or by another version.
  }
  return { choice: {}, images: [] };
}

function key(baseUrl: string): string {
  return `jupyter-dlenv:last-launch:${baseUrl}`;
}
