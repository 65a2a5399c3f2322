/**
 * The recommended images, their tags, and what is known of one before it is pulled.
 */
import {
  asList,
  asObject,
  asString,
  isObject,
  optionalNumber,
  text,
  texts
} from './wire';

/**
 * A family of images that is recommended.
 */
export interface IOffer {
  readonly name: string;
  readonly title: string;
  readonly purpose: string;
  /** What stands before a tag: `nvcr.io/nvidia/pytorch`. */
  readonly repository: string;
  readonly notes: string;
  /** Tags that the engine has. */
  readonly ready: readonly string[];
}

export interface ITags {
  readonly tags: readonly IRemoteTag[];
  /** Why the registry did not answer, or empty. */
  readonly problem: string;
}

export interface IRemoteTag {
  readonly tag: string;
  readonly ready: boolean;
}

/**
 * What is known of an image before it is pulled; numbers are `null` where nobody knows.
 */
export interface ISheet {
  /** The engine has it. */
  readonly isHere: boolean;
  /** Bytes. */
  readonly download: number | null;
  /** Bytes at the registry, those that are here already included. */
  readonly whole: number | null;
  readonly needsDisk: number | null;
  readonly freeDisk: number | null;
  /** That the image was built for, or empty. */
  readonly driver: string;
  readonly hostDriver: string;
  readonly remarks: readonly IRemark[];
  readonly licence: string;
  readonly licenceUrl: string;
  readonly notes: string;
  readonly problem: string;
  /** The newest tag that works, where this one does not. */
  readonly suggestion: string;
}

export interface IRemark {
  readonly code: string;
  readonly weight: 'error' | 'warning' | 'info';
  readonly text: string;
}

export function parseCatalogue(answer: unknown): readonly IOffer[] {
  return asList(asObject(answer, 'the top'), 'offers', (value, path) => {
    const item = asObject(value, path);
    return {
      name: asString(item['name'], `${path}.name`),
      title: asString(item['title'], `${path}.title`),
      purpose: text(item, 'purpose'),
      repository: asString(item['repository'], `${path}.repository`),
      notes: text(item, 'notes'),
      ready: texts(item, 'ready')
    };
  });
}

export function parseTags(answer: unknown): ITags {
  const top = asObject(answer, 'the top');
  return {
    problem: text(top, 'problem'),
    tags: asList(top, 'tags', (value, path) => {
      const item = asObject(value, path);
      return {
        tag: asString(item['tag'], `${path}.tag`),
        ready: item['ready'] === true
      };
    })
  };
}

export function parseSheet(answer: unknown): ISheet {
  const item = asObject(answer, 'the top');
  const host = isObject(item['host']) ? item['host'] : {};
  // `Name of the terms: https://…`
  const licence = text(item, 'licence');
  const [, name = licence, url = ''] =
    /^(.*): (https:\/\/\S+)$/.exec(licence) ?? [];
  return {
    isHere: item['here'] === true,
    download: optionalNumber(item, 'download'),
    whole: optionalNumber(item, 'whole'),
    needsDisk: optionalNumber(item, 'needs_disk'),
    freeDisk: optionalNumber(item, 'free_disk'),
    driver: text(item, 'driver'),
    hostDriver: text(host, 'driver'),
    remarks: asList(item, 'remarks', parseRemark),
    licence: name,
    licenceUrl: url,
    notes: text(item, 'notes'),
    problem: text(item, 'problem'),
    suggestion: text(item, 'suggestion')
  };
}

function parseRemark(value: unknown, path: string): IRemark {
  const item = asObject(value, path);
  const weight = text(item, 'weight');
  return {
    code: text(item, 'code'),
    weight: weight === 'error' || weight === 'warning' ? weight : 'info',
    text: asString(item['text'], `${path}.text`)
  };
}
