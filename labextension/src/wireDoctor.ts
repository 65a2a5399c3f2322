/**
 * What the doctor found, and what the engine and its images are.
 */
import { asList, asObject, asString, number, oneOf, text, texts } from './wire';

const SEVERITIES = ['error', 'warning', 'info', 'ok'] as const;

export interface IFinding {
  readonly id: string;
  readonly section: string;
  readonly severity: (typeof SEVERITIES)[number];
  readonly title: string;
  readonly cause: string;
  readonly fix: string;
  readonly detail: string;
}

export interface IEngine {
  readonly name: string;
  readonly kind: string;
  readonly version: string;
  readonly cpus: number;
  readonly memory: number;
}

export interface ILocalImage {
  readonly id: string;
  readonly tags: readonly string[];
  readonly size: number;
  readonly created: string;
}

export function parseFindings(answer: unknown): readonly IFinding[] {
  return asList(asObject(answer, 'the top'), 'findings', (value, path) => {
    const item = asObject(value, path);
    return {
      id: asString(item['id'], `${path}.id`),
      section: text(item, 'section'),
      severity: oneOf(item['severity'], SEVERITIES, 'severity', path),
      title: asString(item['title'], `${path}.title`),
      cause: text(item, 'cause'),
      fix: text(item, 'fix'),
      detail: text(item, 'detail')
    };
  });
}

export function parseEngine(answer: unknown): IEngine {
  const item = asObject(answer, 'the top');
  return {
    name: asString(item['name'], 'name'),
    kind: text(item, 'kind'),
    version: text(item, 'version'),
    cpus: number(item, 'cpus'),
    memory: number(item, 'memory')
  };
}

export function parseLocalImages(answer: unknown): readonly ILocalImage[] {
  return asList(asObject(answer, 'the top'), 'images', (value, path) => {
    const item = asObject(value, path);
    return {
      id: asString(item['id'], `${path}.id`),
      tags: texts(item, 'tags'),
      size: number(item, 'size'),
      created: text(item, 'created')
    };
  });
}
