/**
 * What the server sends, turned from `unknown` into types, or refused.
 */

const ENVIRONMENT_EVENT = 'https://schema.jupyter-dlenv.org/environment/v1';

/**
 * One environment, as the front end knows it.
 */
export interface IEnvironment {
  readonly name: string;
  readonly status: Status;
  readonly image: string;
  readonly gpus: number;
  readonly kernelName: string;
  readonly engine: string;
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
  const { environments } = asObject(answer, 'the top');
  if (!Array.isArray(environments)) {
    throw new WireError('environments', 'list');
  }
  return environments.map((item: unknown, index) =>
    parseEnvironment(item, `environments[${index}]`)
  );
}

export function parseEnvironment(value: unknown, path: string): IEnvironment {
  const item = asObject(value, path);
  return {
    name: asString(item['name'], `${path}.name`),
    status: asStatus(item['status'], `${path}.status`),
    image: asString(item['image'], `${path}.image`),
    gpus: asNumber(item['gpus'], `${path}.gpus`),
    kernelName: asString(item['kernel_name'], `${path}.kernel_name`),
    engine: asString(item['engine'], `${path}.engine`)
  };
}

/**
 * Whether an event of the server's bus tells that an environment came, went or changed.
 */
export function isEnvironmentEvent(event: { schema_id: string }): boolean {
  return event.schema_id === ENVIRONMENT_EVENT;
}

/**
 * Read the body of a failed request.
 *
 * A proxy in front of the server sends what it likes, hence no error if it is not ours.
 */
export function parseFailure(answer: unknown): IFailure | null {
  const error = isObject(answer) ? answer['error'] : null;
  if (!isObject(error)) {
    return null;
  }
  const { code, message, hint, detail } = error;
  return typeof code === 'string' && typeof message === 'string'
    ? {
        code,
        message,
        hint: typeof hint === 'string' ? hint : '',
        detail: typeof detail === 'string' ? detail : ''
      }
    : null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asObject(
  value: unknown,
  path: string
): Readonly<Record<string, unknown>> {
  if (!isObject(value)) {
    throw new WireError(path, 'object');
  }
  return value;
}

function asString(value: unknown, path: string): string {
  if (typeof value !== 'string') {
    throw new WireError(path, 'text');
  }
  return value;
}

function asNumber(value: unknown, path: string): number {
  if (typeof value !== 'number') {
    throw new WireError(path, 'number');
  }
  return value;
}

function asStatus(value: unknown, path: string): Status {
  switch (value) {
    case 'launching':
    case 'running':
    case 'stopped':
      return value;
    default:
      throw new WireError(path, 'status');
  }
}
