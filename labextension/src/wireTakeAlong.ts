/**
 * An environment on its way elsewhere: as a file for another tool, or as an image.
 */
import {
  asFailure,
  asObject,
  asString,
  type IFailure,
  isObject,
  number,
  oneOf,
  optionalNumber,
  text,
  texts
} from './wire';

export const TARGETS = [
  'devcontainer',
  'compose',
  'docker-run',
  'dockerfile'
] as const;

export type Target = (typeof TARGETS)[number];

export interface IExport {
  /** Where it belongs, relative to the project. */
  readonly file: string;
  readonly content: string;
  /** What is not the same, in the server's words. */
  readonly notes: readonly string[];
}

const PHASES = [
  'queued',
  'saving',
  'pushing',
  'ready',
  'failed',
  'cancelled'
] as const;

/**
 * An environment that becomes an image.
 */
export interface ISave {
  readonly id: string;
  readonly image: string;
  readonly phase: (typeof PHASES)[number];
  readonly message: string;
  readonly current: number;
  readonly total: number;
  readonly secondsLeft: number | null;
  readonly isCancelling: boolean;
  readonly error: IFailure | null;
  /** Bytes of the image; 0 until there is one. */
  readonly size: number;
  /** What is not in it, in the server's words. */
  readonly notes: readonly string[];
  readonly hasEnded: boolean;
}

export function parseExport(answer: unknown): IExport {
  const item = asObject(answer, 'the top');
  return {
    file: text(item, 'file'),
    content: asString(item['content'], 'content'),
    notes: texts(item, 'notes')
  };
}

export function parseSave(answer: unknown): ISave {
  const item = asObject(answer, 'the top');
  const saved = isObject(item['saved']) ? item['saved'] : {};
  return {
    id: asString(item['id'], 'id'),
    image: asString(item['image'], 'image'),
    phase: oneOf(item['phase'], PHASES, 'phase', 'phase'),
    message: text(item, 'message'),
    current: number(item, 'current'),
    total: number(item, 'total'),
    secondsLeft: optionalNumber(item, 'seconds_left'),
    isCancelling: item['cancelling'] === true,
    error: asFailure(item['error']),
    size: number(saved, 'size'),
    notes: texts(saved, 'notes'),
    hasEnded: text(item, 'ended') !== ''
  };
}
