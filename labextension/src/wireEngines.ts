/**
 * The engines that a server may work with, as it sends them.
 */
import {
  asList,
  asObject,
  asString,
  type JSONRecord,
  oneOf,
  text
} from './wire';

const ENGINE_EVENT = 'https://schema.jupyter-dlenv.org/engine/v1';

export interface IEngineOffer {
  readonly name: string;
  readonly kind: 'docker' | 'process';
  /** Empty where the name says it all. */
  readonly address: string;
  /** By the administrator's rules. */
  readonly isAllowed: boolean;
}

export interface IEngines {
  readonly inUse: string;
  /** The name of the one that is configured. */
  readonly usual: string;
  readonly engines: readonly IEngineOffer[];
}

export function parseEngines(answer: unknown): IEngines {
  const item = asObject(answer, 'the top');
  return {
    inUse: asString(item['in_use'], 'in_use'),
    usual: asString(item['default'], 'default'),
    engines: asList(item, 'engines', (value, path) => {
      const engine = asObject(value, path);
      return {
        name: asString(engine['name'], `${path}.name`),
        kind: oneOf(
          engine['kind'],
          ['docker', 'process'],
          'kind',
          `${path}.kind`
        ),
        address: text(engine, 'address'),
        isAllowed: engine['allowed'] === true
      };
    })
  };
}

/**
 * Whether an event of the server's bus tells that another engine is in use.
 */
export function isEngineEvent(event: JSONRecord): boolean {
  return event['schema_id'] === ENGINE_EVENT;
}
