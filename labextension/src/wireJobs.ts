/**
 * Launches as the server sends them: whole, and as events of their progress.
 */
import {
  asFailure,
  asList,
  asObject,
  asString,
  gpuCount,
  type IFailure,
  isObject,
  type JSONRecord,
  number,
  oneOf,
  optionalNumber,
  text
} from './wire';

const PROGRESS_EVENT = 'https://schema.jupyter-dlenv.org/progress/v1';

/** In order; few launches wait. */
export const PHASES = [
  'queued',
  'pulling',
  'preparing',
  'waiting',
  'creating',
  'starting',
  'ready'
] as const;
// In line for GPUs: not every launch is, so it is no step of its own.
const ALL_PHASES = [...PHASES, 'waiting', 'failed', 'cancelled'] as const;

export type Phase = (typeof ALL_PHASES)[number];

/**
 * One launch.
 */
export interface IJob {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly gpus: number;
  /** What to ask for to have the same again. */
  readonly request: JSONRecord;
  readonly phase: Phase;
  readonly message: string;
  readonly current: number;
  readonly total: number;
  readonly layers: readonly ILayer[];
  /** Bytes per second; 0 where nobody knows. */
  readonly speed: number;
  readonly secondsLeft: number | null;
  readonly cancelling: boolean;
  readonly error: IFailure | null;
  /** When each phase began, in milliseconds since the epoch. */
  readonly began: ReadonlyMap<string, number>;
}

export interface ILayer {
  readonly id: string;
  readonly state: LayerState;
  readonly current: number;
  readonly total: number;
}

export type LayerState =
  'downloading' | 'unpacking' | 'waiting' | 'done' | 'here';

/**
 * What an event tells of a launch; its words are for all pages, and in English.
 */
export interface IProgressEvent {
  readonly id: string;
  readonly name: string;
  readonly phase: Phase;
  readonly current: number;
  readonly total: number;
  readonly speed: number;
  readonly secondsLeft: number | null;
  readonly cancelling: boolean;
}

export function hasEnded(job: { readonly phase: Phase }): boolean {
  return ['ready', 'failed', 'cancelled'].includes(job.phase);
}

export function parseJobs(answer: unknown): readonly IJob[] {
  return asList(asObject(answer, 'the top'), 'jobs', parseJob);
}

export function parseJob(value: unknown, path: string): IJob {
  const item = asObject(value, path);
  const spec = isObject(item['spec']) ? item['spec'] : {};
  return {
    id: asString(item['id'], `${path}.id`),
    name: asString(item['name'], `${path}.name`),
    image: text(spec, 'image'),
    gpus: gpuCount(spec['gpus'] ?? 0, `${path}.spec.gpus`),
    request: asked({
      ...spec,
      build_dir: item['build_dir'],
      project: item['project'],
      authorize: item['authorize'],
      wait_for_gpus: item['wait_for_gpus']
    }),
    phase: oneOf(item['phase'], ALL_PHASES, 'phase', `${path}.phase`),
    message: text(item, 'message'),
    current: number(item, 'current'),
    total: number(item, 'total'),
    layers: asList(item, 'layers', parseLayer),
    speed: number(item, 'speed'),
    secondsLeft: optionalNumber(item, 'seconds_left'),
    cancelling: item['cancelling'] === true,
    error: asFailure(item['error']),
    began: times(item['phases'])
  };
}

/**
 * Read an event of the bus; `null` if it is of something else.
 *
 * @throws WireError
 */
export function parseProgressEvent(event: JSONRecord): IProgressEvent | null {
  if (event['schema_id'] !== PROGRESS_EVENT) {
    return null;
  }
  return {
    id: asString(event['job'], 'job'),
    name: asString(event['name'], 'name'),
    phase: oneOf(event['phase'], ALL_PHASES, 'phase', 'phase'),
    current: number(event, 'current'),
    total: number(event, 'total'),
    speed: number(event, 'speed'),
    secondsLeft: optionalNumber(event, 'seconds_left'),
    cancelling: event['cancelling'] === true
  };
}

/** Fields as they were asked for, as far as the server takes them back: 0 and `false` are. */
function asked(fields: JSONRecord): JSONRecord {
  return Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) => value !== '' && value !== null && value !== undefined
    )
  );
}

function parseLayer(value: unknown, path: string): ILayer {
  const item = asObject(value, path);
  return {
    id: asString(item['id'], `${path}.id`),
    state: layerState(text(item, 'state')),
    current: number(item, 'current'),
    total: number(item, 'total')
  };
}

/**
 * Of the engine's words for a layer, the one of five that people need.
 */
function layerState(words: string): LayerState {
  switch (words.toLowerCase()) {
    case 'downloading':
      return 'downloading';
    case 'extracting':
      return 'unpacking';
    case 'pull complete':
    case 'done':
      return 'done';
    case 'already exists':
      return 'here';
    default:
      return 'waiting';
  }
}

function times(value: unknown): ReadonlyMap<string, number> {
  return new Map(
    Object.entries(isObject(value) ? value : {}).map(([phase, began]) => [
      phase,
      Date.parse(String(began))
    ])
  );
}
