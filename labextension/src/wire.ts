/**
 * What the server sends, turned from `unknown` into types, or refused.
 *
 * This file has the tools for that, environments and failures; what else is sent has
 * files of its own (`wireJobs`, `wireGpus` …).
 */

const ENVIRONMENT_EVENT = 'https://schema.jupyter-dlenv.org/environment/v1';

export type JSONRecord = Readonly<Record<string, unknown>>;

/**
 * One environment, as the front end knows it.
 */
export interface IEnvironment {
  readonly name: string;
  readonly id: string;
  readonly status: Status;
  readonly image: string;
  readonly gpus: number;
  /** Those it has leased; empty where the server does not say. */
  readonly gpuUuids: readonly string[];
  readonly kernelName: string;
  readonly engine: string;
  readonly mounts: readonly string[];
  readonly ports: readonly string[];
  /** When it last started, ISO 8601, or empty. */
  readonly started: string;
  readonly exitCode: number | null;
  readonly outOfMemory: boolean;
}

/**
 * An environment that stops in some seconds.
 */
export interface IIdleWarning {
  readonly name: string;
  readonly seconds: number;
}

export type Status = 'launching' | 'running' | 'stopped';

/**
 * What the server says when it refuses or fails.
 */
export interface IFailure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly detail: string;
}

/**
 * The server sent something that this version of the extension does not understand.
 */
export class WireError extends Error {
  constructor(path: string, expected: string) {
    super(`The server's answer has no ${expected} at ${path}.`);
    this.name = 'WireError';
  }
}

export function parseEnvironments(answer: unknown): readonly IEnvironment[] {
  return asList(asObject(answer, 'the top'), 'environments', parseEnvironment);
}

export function parseEnvironment(value: unknown, path: string): IEnvironment {
  const item = asObject(value, path);
  return {
    name: asString(item['name'], `${path}.name`),
    id: text(item, 'id'),
    status: oneOf(
      item['status'],
      ['launching', 'running', 'stopped'],
      'status',
      `${path}.status`
    ),
    image: asString(item['image'], `${path}.image`),
    gpus: gpuCount(item['gpus'], `${path}.gpus`),
    gpuUuids: texts(item, 'gpu_uuids'),
    kernelName: asString(item['kernel_name'], `${path}.kernel_name`),
    engine: asString(item['engine'], `${path}.engine`),
    mounts: texts(item, 'mounts'),
    ports: texts(item, 'ports'),
    started: text(item, 'started'),
    exitCode: optionalNumber(item, 'exit_code'),
    outOfMemory: item['out_of_memory'] === true
  };
}

/**
 * Whether an event of the server's bus tells that an environment came, went or changed.
 */
export function isEnvironmentEvent(event: { schema_id: string }): boolean {
  return event.schema_id === ENVIRONMENT_EVENT;
}

/**
 * Read the word that an environment stops soon, because nobody uses it.
 */
export function parseIdleEvent(event: JSONRecord): IIdleWarning | null {
  if (event['schema_id'] !== ENVIRONMENT_EVENT || event['action'] !== 'idle') {
    return null;
  }
  return {
    name: asString(event['name'], 'name'),
    seconds: optionalNumber(event, 'stops_in') ?? 0
  };
}

/**
 * Read the body of a failed request.
 *
 * A proxy in front of the server sends what it likes, hence no error if it is not ours.
 */
export function parseFailure(answer: unknown): IFailure | null {
  return asFailure(isObject(answer) ? answer['error'] : null);
}

export function asFailure(error: unknown): IFailure | null {
  if (!isObject(error)) {
    return null;
  }
  const { code, message } = error;
  return typeof code === 'string' && typeof message === 'string'
    ? {
        code,
        message,
        hint: text(error, 'hint'),
        detail: text(error, 'detail')
      }
    : null;
}

// What is needed, or refused.

export function isObject(value: unknown): value is JSONRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asObject(value: unknown, path: string): JSONRecord {
  if (!isObject(value)) {
    throw new WireError(path, 'object');
  }
  return value;
}

export function asList<T>(
  parent: JSONRecord,
  key: string,
  parse: (value: unknown, path: string) => T
): readonly T[] {
  const items = parent[key];
  if (!Array.isArray(items)) {
    throw new WireError(key, 'list');
  }
  return items.map((item: unknown, index) => parse(item, `${key}[${index}]`));
}

export function asString(value: unknown, path: string): string {
  if (typeof value !== 'string') {
    throw new WireError(path, 'text');
  }
  return value;
}

export function asNumber(value: unknown, path: string): number {
  if (typeof value !== 'number') {
    throw new WireError(path, 'number');
  }
  return value;
}

export function oneOf<T extends string>(
  value: unknown,
  known: readonly T[],
  what: string,
  path: string
): T {
  const found = known.find(word => word === value);
  if (found === undefined) {
    throw new WireError(path, what);
  }
  return found;
}

// What may be left out.

export function text(item: JSONRecord, key: string): string {
  const value = item[key];
  return typeof value === 'string' ? value : '';
}

export function texts(item: JSONRecord, key: string): readonly string[] {
  const value = item[key];
  return Array.isArray(value)
    ? value.filter((x: unknown): x is string => typeof x === 'string')
    : [];
}

export function optionalNumber(item: JSONRecord, key: string): number | null {
  const value = item[key];
  return typeof value === 'number' ? value : null;
}

export function number(item: JSONRecord, key: string): number {
  return optionalNumber(item, key) ?? 0;
}

/**
 * A count, or what was asked for in words: `all`, `device=0,3`.
 */
export function gpuCount(value: unknown, path: string): number {
  if (typeof value === 'string') {
    const count = Number(value);
    return Number.isInteger(count)
      ? count
      : value.split(',').filter(Boolean).length;
  }
  return asNumber(value, path);
}
