/**
 * What a user has chosen in the launch form, and the same as a request and as commands.
 */
import { shellWord } from './shell';
import { type JSONRecord, isObject, text, texts } from './wire';
import type { IProject } from './wireProject';

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
  /** Minutes without use after which it stops; empty: as the server has it. */
  readonly idleStop: string;
  /** Whose `dlenv.toml` this began with; what no field shows is taken from there. */
  readonly project: IProject | null;
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
  user: 'caller',
  idleStop: '',
  project: null
};

/** Of a request, what fields of the form show. */
const SHOWN = [
  'name',
  'image',
  'gpus',
  'mounts',
  'ports',
  'env',
  'shm_size',
  'user',
  'idle_stop'
];

/**
 * The body of `POST environments`; rows that nobody filled in are left out.
 */
export function toRequest(choice: IChoice): JSONRecord {
  const body: Record<string, unknown> = {
    ...hidden(choice.project),
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
  const minutes = choice.idleStop.trim();
  if (minutes) {
    // What is no number, the server refuses with its own words.
    body['idle_stop'] = Number.isNaN(Number(minutes))
      ? minutes
      : Number(minutes);
  }
  return body;
}

/**
 * What a project wants, in the fields of the form.
 */
export function fromProject(project: IProject): Partial<IChoice> {
  const { spec, name, image } = project;
  const gpus = spec['gpus'];
  const size = spec['shm_size'];
  const minutes = spec['idle_stop'];
  const env = isObject(spec['env']) ? spec['env'] : {};
  return {
    project,
    name,
    image,
    gpus: typeof gpus === 'number' ? gpus : devicesOf(gpus).length,
    devices: devicesOf(gpus),
    mounts: texts(spec, 'mounts').map(mount => {
      const [source = '', target = '', mode] = mount.split(':');
      return { source, target, readOnly: mode === 'ro' };
    }),
    ports: texts(spec, 'ports').map(port => {
      const [, host = '', container = port] =
        /^(?:127\.0\.0\.1:)?(.*):([^:]*)$/.exec(port) ?? [];
      return { container, host: host === '0' ? '' : host };
    }),
    variables: Object.entries(env).map(([key, value]) => ({
      name: key,
      value: String(value)
    })),
    ...(typeof size === 'number' ? { sharedMemory: memoryWord(size) } : {}),
    ...(spec['user'] === undefined ? {} : { user: text(spec, 'user') }),
    ...(typeof minutes === 'number' ? { idleStop: String(minutes) } : {})
  };
}

/**
 * The same launch as a line for a shell.
 *
 * @param engine - If it is not the one that is used where none is named.
 */
export function toShell(choice: IChoice, engine = ''): string {
  return `jupyter dlenv launch ${line(choice, engine)}`;
}

/**
 * The same launch as a line for a notebook.
 */
export function toMagic(choice: IChoice, engine = ''): string {
  return `%dlenv launch ${line(choice, engine)}`;
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

/** An option of the command line, and its value if it takes one. */
type Option = readonly [string, string];

/** Those that a later one of the same name adds to, and does not replace. */
const LISTS = ['--mount', '--publish', '--env'];

function line(choice: IChoice, engine: string): string {
  const wanted = options(choice);
  const on: readonly Option[] = engine ? [['--engine', engine]] : [];
  const { project } = choice;
  if (project) {
    const said = options({ ...NOTHING_CHOSEN, ...fromProject(project) });
    const has = (list: readonly Option[], [name, value]: Option): boolean =>
      list.some(
        item => item[0] === name && (!LISTS.includes(name) || item[1] === value)
      );
    const gone = said.filter(option => !has(wanted, option));
    // What the file adds to a list, no option takes away.
    if (gone.every(([name]) => !LISTS.includes(name))) {
      const changed = wanted.filter(
        ([name, value]) => !said.some(o => o[0] === name && o[1] === value)
      );
      const back = gone.map(([name]): Option => [name, USUAL[name] ?? '']);
      return written([['--file', project.path], ...on, ...changed, ...back]);
    }
  }
  const what: Option = project?.buildDir
    ? ['--build', project.buildDir]
    : [choice.image, ''];
  return written([what, ...on, ...wanted]);
}

/** What options have to say to take back what a file says. */
const USUAL: Readonly<Record<string, string>> = {
  '--gpus': '0',
  '--shm-size': DEFAULT_SHARED_MEMORY,
  '--user': 'caller',
  '--idle-stop': '0'
};

function options(choice: IChoice): readonly Option[] {
  const request = toRequest(choice);
  const found: Option[] = [];
  const add = (option: string, value: unknown): void => {
    found.push([option, String(value)]);
  };
  if (choice.name) {
    add('--name', choice.name);
  }
  if (request['gpus'] !== 0) {
    add('--gpus', request['gpus']);
  }
  if (choice.waits) {
    add('--wait-for-gpus', '');
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
  if (request['idle_stop'] !== undefined) {
    add('--idle-stop', request['idle_stop']);
  }
  return found;
}

function written(words: readonly Option[]): string {
  return words
    .flatMap(([name, value]) => (value ? [name, value] : [name]))
    .map(shellWord)
    .join(' ');
}

function gpusWord(choice: IChoice): number | string {
  const { devices } = choice;
  return devices[0] === 'all'
    ? 'all'
    : devices.length > 0
      ? `device=${devices.join(',')}`
      : choice.gpus;
}

/** `device=0,3`, or UUIDs; of `all`, nobody knows here how many those are. */
function devicesOf(gpus: unknown): readonly string[] {
  return typeof gpus === 'string'
    ? gpus.replace(/^device=/, '').split(',')
    : [];
}

/** What a project says that no field shows. */
function hidden(project: IProject | null): JSONRecord {
  const entries = Object.entries(project?.spec ?? {});
  return {
    ...Object.fromEntries(entries.filter(([key]) => !SHOWN.includes(key))),
    ...(project?.buildDir ? { build_dir: project.buildDir } : {}),
    // Its lock is written when the environment is there.
    ...(project ? { project: project.path } : {})
  };
}

function memoryWord(bytes: number): string {
  const gibibytes = bytes / 1024 ** 3;
  return Number.isInteger(gibibytes) ? `${gibibytes}g` : String(bytes);
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
