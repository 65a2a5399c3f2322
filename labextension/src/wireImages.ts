/**
 * The recommended images, their tags, and what is known of one before it is pulled.
 */
import {
  asList,
  asObject,
  asString,
  isObject,
  type JSONRecord,
  optionalNumber,
  text,
  texts
} from './wire';

export interface ICatalogue {
  readonly entries: readonly ICatalogueEntry[];
}

/**
 * A family of images.
 */
export interface ICatalogueEntry {
  readonly name: string;
  readonly title: string;
  readonly purpose: string;
  /** With its registry: `nvcr.io/nvidia/pytorch`. */
  readonly repository: string;
  readonly notes: string;
}

/**
 * What is known of an image before it is pulled; each may be unknown.
 */
export interface ISheet {
  readonly download: number | null;
  readonly here: number | null;
  readonly disk: number | null;
  readonly diskFree: number | null;
  readonly inside: string;
  readonly driverNeeded: string;
  readonly licence: { readonly name: string; readonly url: string } | null;
  readonly warnings: readonly string[];
}

export function parseCatalogue(answer: unknown): ICatalogue {
  const top = asObject(answer, 'the top');
  const registry = text(top, 'registry');
  return {
    entries: asList(top, 'entries', (value, path) => {
      const item = asObject(value, path);
      const repository = asString(item['repository'], `${path}.repository`);
      return {
        name: asString(item['name'], `${path}.name`),
        title: asString(item['title'], `${path}.title`),
        purpose: text(item, 'purpose'),
        repository:
          registry && !repository.startsWith(`${registry}/`)
            ? `${registry}/${repository}`
            : repository,
        notes: text(item, 'notes')
      };
    })
  };
}

export function parseTags(answer: unknown): readonly string[] {
  return texts(asObject(answer, 'the top'), 'tags');
}

export function parseSheet(answer: unknown): ISheet {
  const item = asObject(answer, 'the top');
  return {
    download: optionalNumber(item, 'download'),
    here: optionalNumber(item, 'here'),
    disk: optionalNumber(item, 'disk'),
    diskFree: optionalNumber(item, 'disk_free'),
    inside: text(item, 'inside'),
    driverNeeded: text(item, 'driver_needed'),
    licence: licence(item),
    warnings: texts(item, 'warnings')
  };
}

function licence(item: JSONRecord): ISheet['licence'] {
  const value = item['licence'];
  return isObject(value) && /^https:/.test(text(value, 'url'))
    ? { name: text(value, 'name'), url: text(value, 'url') }
    : null;
}
