/**
 * How to reach an environment from elsewhere, and its ports.
 */
import {
  asList,
  asNumber,
  asObject,
  isObject,
  type JSONRecord,
  text,
  texts
} from './wire';

/** Where somebody sits who wants to connect. */
export const PLACES = ['here', 'laptop', 'jupyter-url', 'windows'] as const;
export type Place = (typeof PLACES)[number];

export interface IConnection {
  /** Why there is no SSH, or empty. */
  readonly unavailable: string;
  /** ssh on the server's machine knows the environment already. */
  readonly isInstalled: boolean;
  /** For programs that connect by themselves. */
  readonly fields: readonly (readonly [string, string])[];
  readonly commands: readonly ICommandLine[];
  readonly blocks: ReadonlyMap<Place, IConfigBlock>;
  readonly tunnels: readonly ICommandLine[];
  readonly ides: readonly IIde[];
}

/**
 * A line to copy, and what it is for.
 */
export interface ICommandLine {
  readonly command: string;
  readonly purpose: string;
}

/**
 * Settings of an SSH client.
 */
export interface IConfigBlock {
  readonly remark: string;
  readonly text: string;
}

export interface IIde {
  readonly id: string;
  readonly name: string;
  /** Such as `vscode://…`; empty where the IDE knows no links. */
  readonly url: string;
  readonly remark: string;
}

/**
 * A port inside, and the ways to it.
 */
export interface IPort {
  readonly port: number;
  /** `null` where nobody could be asked. */
  readonly isListening: boolean | null;
  readonly process: string;
  /** A guess, such as `TensorBoard`, or empty. */
  readonly service: string;
  readonly isWeb: boolean;
  /** `IP:PORT` of the host. */
  readonly published: readonly string[];
  /** Ports of the host. */
  readonly forwarded: readonly number[];
}

export function parseConnection(answer: unknown): IConnection {
  const top = asObject(answer, 'the top');
  const fields = isObject(top['fields']) ? top['fields'] : {};
  return {
    unavailable: text(top, 'unavailable'),
    isInstalled: top['installed'] === true,
    fields: Object.entries(fields).map(([name, value]) => [
      name,
      String(value)
    ]),
    commands: objects(top, 'commands').map(parseCommand),
    blocks: new Map(
      objects(top, 'blocks').flatMap((item): [Place, IConfigBlock][] => {
        const place = PLACES.find(known => known === item['place']);
        const block = {
          remark: text(item, 'remark'),
          text: text(item, 'text')
        };
        return place ? [[place, block]] : [];
      })
    ),
    tunnels: objects(top, 'forwards').map(parseCommand),
    ides: objects(top, 'ides').map(item => ({
      id: text(item, 'id'),
      name: text(item, 'name'),
      url: link(text(item, 'url')),
      remark: text(item, 'remark')
    }))
  };
}

export function parsePorts(answer: unknown): readonly IPort[] {
  return asList(asObject(answer, 'the top'), 'ports', (value, path) => {
    const item = asObject(value, path);
    const listening = item['listening'];
    const forwarded = item['forwarded'];
    return {
      port: asNumber(item['port'], `${path}.port`),
      isListening: typeof listening === 'boolean' ? listening : null,
      process: text(item, 'process'),
      service: text(item, 'service'),
      isWeb: item['web'] === true,
      published: texts(item, 'published'),
      forwarded: Array.isArray(forwarded)
        ? forwarded.filter((x: unknown): x is number => typeof x === 'number')
        : []
    };
  });
}

function parseCommand(item: JSONRecord): ICommandLine {
  return { command: text(item, 'command'), purpose: text(item, 'purpose') };
}

/** Only what opens a program: never a script. */
function link(url: string): string {
  return /^(?!javascript|data)[a-z][a-z0-9+.-]*:/.test(url) ? url : '';
}

function objects(item: JSONRecord, key: string): readonly JSONRecord[] {
  const value = item[key];
  return Array.isArray(value) ? value.filter(isObject) : [];
}
