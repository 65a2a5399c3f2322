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
export const PLACES = ['here', 'laptop', 'jupyter-url'] as const;
export type Place = (typeof PLACES)[number];

export interface IConnection {
  readonly ways: ReadonlyMap<Place, IWay>;
  /** Opened by links, such as `vscode://…`. */
  readonly ides: readonly IIde[];
  readonly tunnels: readonly ITunnel[];
}

/**
 * The steps for one place.
 */
export interface IWay {
  readonly explanation: string;
  /** Lines to run once, before anything else. */
  readonly setup: readonly string[];
  /** A block for `~/.ssh/config`, or empty. */
  readonly config: string;
  readonly note: string;
  readonly command: string;
}

export interface IIde {
  readonly id: string;
  readonly title: string;
  readonly url: string;
  readonly note: string;
}

export interface ITunnel {
  readonly command: string;
  readonly explanation: string;
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
  const ways = isObject(top['ways']) ? top['ways'] : {};
  return {
    ways: new Map(
      PLACES.flatMap((place): [Place, IWay][] => {
        const way = ways[place];
        return isObject(way) ? [[place, parseWay(way)]] : [];
      })
    ),
    ides: objects(top, 'ides').map(item => ({
      id: text(item, 'id'),
      title: text(item, 'title'),
      url: text(item, 'url'),
      note: text(item, 'note')
    })),
    tunnels: objects(top, 'tunnels').map(item => ({
      command: text(item, 'command'),
      explanation: text(item, 'explanation')
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

function parseWay(item: JSONRecord): IWay {
  return {
    explanation: text(item, 'explanation'),
    setup: texts(item, 'setup'),
    config: text(item, 'config'),
    note: text(item, 'note'),
    command: text(item, 'command')
  };
}

function objects(item: JSONRecord, key: string): readonly JSONRecord[] {
  const value = item[key];
  return Array.isArray(value) ? value.filter(isObject) : [];
}
