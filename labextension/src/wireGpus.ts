/**
 * The board of GPUs, and the answer to "what would be wrong with this launch".
 */
import {
  asFailure,
  asList,
  asNumber,
  asObject,
  asString,
  type IFailure,
  isObject,
  type JSONRecord,
  number,
  oneOf,
  optionalNumber,
  text,
  texts
} from './wire';

const STATES = [
  'free',
  'busy',
  'leased',
  'fenced',
  'mig',
  'lost',
  'error'
] as const;

export type GpuState = (typeof STATES)[number];

/**
 * A GPU, or a MIG device of one.
 */
export interface IDevice {
  readonly uuid: string;
  readonly index: number;
  readonly name: string;
  readonly state: GpuState;
  readonly reason: string;
  readonly memoryUsed: number;
  readonly memoryTotal: number;
  /** The one of this user that has it, or empty. */
  readonly environment: string;
  readonly users: readonly string[];
  readonly processes: number;
}

export interface IGpu extends IDevice {
  /** Percent, or `null` where nobody knows. */
  readonly utilization: number | null;
  readonly mig: readonly IDevice[];
}

export interface IBoard {
  /** Why there are no GPUs, or empty. */
  readonly message: string;
  readonly driver: string;
  readonly gpus: readonly IGpu[];
  readonly nvlinks: readonly (readonly [number, number])[];
  readonly free: number;
  /** UUIDs. */
  readonly willBeTaken: readonly string[];
}

/**
 * What a launch would be refused for.
 */
export interface IProblem extends IFailure {
  /** Of the request; empty where it is no field alone. */
  readonly field: string;
}

export interface ICheckedSpec {
  /** With all defaults; `null` where there are problems. */
  readonly spec: JSONRecord | null;
  readonly problems: readonly IProblem[];
  /** The first that is tried; 0 if none is published. */
  readonly sshPort: number;
}

export function parseBoard(answer: unknown): IBoard {
  const top = asObject(answer, 'the top');
  const driver = asObject(top['driver'], 'driver');
  return {
    message: text(driver, 'message'),
    driver: text(driver, 'version'),
    gpus: asList(top, 'gpus', parseGpu),
    nvlinks: asList(top, 'nvlinks', parsePair),
    free: asNumber(top['free'], 'free'),
    willBeTaken: texts(top, 'will_be_taken')
  };
}

export function parseCheckedSpec(answer: unknown): ICheckedSpec {
  const top = asObject(answer, 'the top');
  return {
    spec: isObject(top['spec']) ? top['spec'] : null,
    sshPort: number(top, 'ssh_port'),
    problems: asList(top, 'problems', (value, path) => {
      const item = asObject(value, path);
      const failure = asFailure(item);
      return {
        field: text(item, 'field'),
        code: failure?.code ?? '',
        message: asString(item['message'], `${path}.message`),
        hint: failure?.hint ?? '',
        detail: failure?.detail ?? ''
      };
    })
  };
}

function parseGpu(value: unknown, path: string): IGpu {
  const item = asObject(value, path);
  return {
    ...parseDevice(item, path),
    utilization: optionalNumber(item, 'utilization'),
    mig: asList(item, 'mig', parseDevice)
  };
}

function parseDevice(value: unknown, path: string): IDevice {
  const item = asObject(value, path);
  return {
    uuid: asString(item['uuid'], `${path}.uuid`),
    index: asNumber(item['index'], `${path}.index`),
    name: text(item, 'name'),
    state: oneOf(item['state'], STATES, 'state', `${path}.state`),
    reason: text(item, 'reason'),
    memoryUsed: number(item, 'memory_used'),
    memoryTotal: number(item, 'memory_total'),
    environment: text(item, 'environment'),
    users: texts(item, 'users'),
    processes: number(item, 'processes')
  };
}

function parsePair(value: unknown, path: string): readonly [number, number] {
  const pair: readonly unknown[] = Array.isArray(value) ? value : [];
  return [asNumber(pair[0], `${path}[0]`), asNumber(pair[1], `${path}[1]`)];
}
