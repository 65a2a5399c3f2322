/**
 * What a user has chosen in the launch form, and the same as a request and as commands.
 */
import type { JSONRecord } from './wire';

export interface IMountChoice {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface IPortChoice {
  readonly container: string;
  /** Empty: any free one. */
  readonly host: string;
}

export interface IVariableChoice {
  readonly name: string;
  readonly value: string;
}

export interface IChoice {
  readonly image: string;
  readonly name: string;
  readonly gpus: number;
  /** In line, if too few GPUs are free. */
  readonly waits: boolean;
  /** UUIDs picked by hand; empty: as many as `gpus`, chosen by the server. */
  readonly devices: readonly string[];
  readonly mounts: readonly IMountChoice[];
  readonly ports: readonly IPortChoice[];
  readonly variables: readonly IVariableChoice[];
  readonly sharedMemory: string;
  readonly user: string;
}

export const DEFAULT_SHARED_MEMORY = '8g';

export const NOTHING_CHOSEN: IChoice = {
  image: '',
  name: '',
  gpus: 0,
  waits: false,
  devices: [],
  mounts: [],
  ports: [],
  variables: [],
  sharedMemory: DEFAULT_SHARED_MEMORY,
  user: 'caller'
};

/**
 * The body of `POST environments`; rows that nobody filled in are left out.
 */
export function toRequest(choice: IChoice): JSONRecord {
  const body: Record<string, unknown> = {
    name: choice.name,
    image: choice.image,
    gpus: gpusWord(choice)
  };
  const mounts = choice.mounts.filter(m => m.source || m.target);
  const ports = choice.ports.filter(p => p.container || p.host);
  const variables = choice.variables.filter(v => v.name || v.value);
  if (choice.waits) {
    body['wait_for_gpus'] = true;
  }
  if (mounts.length > 0) {
    body['mounts'] = mounts.map(mountWord);
  }
  if (ports.length > 0) {
    body['ports'] = ports.map(portWord);
  }
  if (variables.length > 0) {
    body['env'] = Object.fromEntries(variables.map(v => [v.name, v.value]));
  }
  if (choice.sharedMemory.trim() !== DEFAULT_SHARED_MEMORY) {
    body['shm_size'] = choice.sharedMemory.trim();
  }
  if (choice.user !== 'caller') {
    body['user'] = choice.user;
  }
  return body;
}

/**
 * The same launch as a line for a shell.
 */
export function toShell(choice: IChoice): string {
  return `jupyter dlenv launch ${options(choice)}`;
}

/**
 * The same launch as a line for a notebook.
 */
export function toMagic(choice: IChoice): string {
  return `%dlenv launch ${options(choice)}`;
}

/**
 * A free name that reminds of an image: `pytorch-25-10`.
 */
export function suggestName(image: string, taken: ReadonlySet<string>): string {
  const last = (image.split('@')[0] ?? '').split('/').pop() ?? '';
  const version = /:v?(\d+(?:\.\d+)+)/.exec(last)?.[1] ?? '';
  const words = [last.split(':')[0] ?? '', version].filter(Boolean).join('-');
  const base =
    words
      .toLowerCase()
      .replace(/[^a-z0-9_-]+/g, '-')
      .replace(/^[-_]+|[-_]+$/g, '')
      .slice(0, 36) || 'environment';
  let name = base;
  for (let number = 2; taken.has(name); number++) {
    name = `${base}-${number}`;
  }
  return name;
}

function options(choice: IChoice): string {
  const request = toRequest(choice);
  const words = [choice.image];
  const add = (option: string, value: unknown): void => {
    words.push(option, String(value));
  };
  if (choice.name) {
    add('--name', choice.name);
  }
  if (request['gpus'] !== 0) {
    add('--gpus', request['gpus']);
  }
  if (choice.waits) {
    words.push('--wait-for-gpus');
  }
  for (const mount of list(request['mounts'])) {
    add('--mount', mount);
  }
  for (const port of list(request['ports'])) {
    add('--publish', port);
  }
  for (const variable of choice.variables.filter(v => v.name)) {
    add('--env', `${variable.name}=${variable.value}`);
  }
  if (request['shm_size'] !== undefined) {
    add('--shm-size', request['shm_size']);
  }
  if (request['user'] !== undefined) {
    add('--user', request['user']);
  }
  return words.map(shellWord).join(' ');
}

/**
 * A word as a POSIX shell, and the magic's own parser, read it back unchanged.
 */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word)
    ? word
    : `'${word.replace(/'/g, `'\\''`)}'`;
}

function gpusWord(choice: IChoice): number | string {
  return choice.devices.length > 0
    ? `device=${choice.devices.join(',')}`
    : choice.gpus;
}

function mountWord(mount: IMountChoice): string {
  return `${mount.source}:${mount.target}${mount.readOnly ? ':ro' : ''}`;
}

function portWord(port: IPortChoice): string {
  return port.host ? `${port.host}:${port.container}` : port.container;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
