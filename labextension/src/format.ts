/**
 * Numbers for people: sizes, durations, names of images.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

export const GIB = 1024 ** 3;
const NBSP = '\u00a0';

/**
 * Bytes of a download or a disk, with a fixed number of decimals so that nothing jumps.
 */
export function gigabytes(bytes: number, decimals = 1): string {
  return `${(bytes / 1e9).toFixed(decimals)}${NBSP}GB`;
}

/**
 * A size that may be small, in the unit that reads best.
 */
export function size(bytes: number): string {
  if (bytes >= 1e9) {
    return gigabytes(bytes);
  }
  return bytes >= 1e6
    ? `${Math.round(bytes / 1e6)}${NBSP}MB`
    : `${Math.ceil(bytes / 1e3)}${NBSP}kB`;
}

/**
 * Memory of a GPU, as it is sold: an H100 of 81559 MiB has "80 GB".
 */
export function gpuMemory(used: number, total: number): string {
  return `${Math.round(used / GIB)} / ${Math.round(total / GIB)}${NBSP}GB`;
}

/**
 * A GPU's model as the driver calls it: `H100 80 GB HBM3`.
 */
export function gpuModel(name: string): string {
  return name.replace(/^NVIDIA /, '').replace(/(\d)GB\b/, `$1${NBSP}GB`);
}

/**
 * Memory of the host, counted as that of a GPU is: what people type as "8g" is "8 GB".
 */
export function memory(bytes: number): string {
  return `${+(bytes / GIB).toFixed(1)}${NBSP}GB`;
}

export function percent(value: number): string {
  return `${Math.round(value)}${NBSP}%`;
}

export function ratio(part: number, whole: number): number {
  return whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0;
}

/**
 * How long something took or takes, in at most two units.
 */
export function duration(
  milliseconds: number,
  trans: TranslationBundle
): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days > 0) {
    return two(
      trans.__('%1 d', days),
      hours % 24,
      trans.__('%1 h', hours % 24)
    );
  }
  if (hours > 0) {
    return two(
      trans.__('%1 h', hours),
      minutes % 60,
      trans.__('%1 min', minutes % 60)
    );
  }
  if (minutes > 0) {
    return two(
      trans.__('%1 min', minutes),
      seconds % 60,
      trans.__('%1 s', seconds % 60)
    );
  }
  return trans.__('%1 s', seconds);
}

/**
 * The same without the smaller unit, for what is shown all day.
 */
export function roughDuration(
  milliseconds: number,
  trans: TranslationBundle
): string {
  const minutes = Math.max(0, Math.floor(milliseconds / 60_000));
  if (minutes < 60) {
    return trans.__('%1 min', minutes);
  }
  const hours = Math.floor(minutes / 60);
  return hours < 24
    ? trans.__('%1 h', hours)
    : trans.__('%1 d', Math.floor(hours / 24));
}

function two(large: string, rest: number, small: string): string {
  return rest > 0 ? `${large} ${small}` : large;
}

/**
 * Several facts about one thing, without those that are empty.
 */
export function facts(
  words: readonly string[],
  trans: TranslationBundle
): string {
  return words.filter(Boolean).join(trans._p('between facts', ', '));
}

/**
 * Things of one kind: numbers, names.
 */
export function list(
  items: readonly string[],
  trans: TranslationBundle
): string {
  return items.join(trans._p('between things', ', '));
}

export interface IImageName {
  /** Two letters. */
  readonly mark: string;
  readonly title: string;
  readonly version: string;
}

/** By a part of the repository's path. */
const FRAMEWORKS: Readonly<Record<string, readonly [string, string]>> = {
  pytorch: ['Pt', 'PyTorch'],
  tensorflow: ['Tf', 'TensorFlow'],
  jax: ['Jx', 'JAX'],
  rapidsai: ['Ra', 'RAPIDS'],
  nemo: ['Ne', 'NeMo'],
  physicsnemo: ['Ph', 'PhysicsNeMo'],
  tritonserver: ['Tr', 'Triton'],
  vllm: ['Vl', 'vLLM'],
  sglang: ['Sg', 'SGLang'],
  tensorrt: ['Rt', 'TensorRT'],
  'cuda-dl-base': ['Cu', 'CUDA'],
  cuda: ['Cu', 'CUDA'],
  python: ['Py', 'Python']
};

/**
 * How people call an image: `nvcr.io/nvidia/pytorch:25.10-py3` is PyTorch 25.10.
 */
export function imageName(image: string): IImageName {
  const path = (image.split('@')[0] ?? '').split('/');
  const last = path[path.length - 1] ?? '';
  const [repository = '', tag = ''] = last.split(':');
  const known = [...path]
    .reverse()
    .map(part => FRAMEWORKS[part.split(':')[0] ?? ''])
    .find(found => found !== undefined);
  const version = /^v?(\d+(?:\.\d+)+)/.exec(tag)?.[1] ?? '';
  return known
    ? { mark: known[0], title: known[1], version }
    : { mark: '', title: repository, version: version || tag };
}

/**
 * `PyTorch 25.10 · 2 GPUs`
 */
export function summary(
  image: string,
  gpus: number,
  trans: TranslationBundle
): string {
  const { title, version } = imageName(image);
  const words = [title, version].filter(Boolean).join(' ');
  return gpus > 0
    ? `${words} ·${NBSP}${trans._n('%1 GPU', '%1 GPUs', gpus).replace(' ', NBSP)}`
    : words;
}
