/**
 * The images to choose from, in groups, as the launch form lists them.
 */
import { imageName } from './format';
import type { ILocalImage } from './wireDoctor';
import type { IOffer, IRemoteTag } from './wireImages';
import type { IProject } from './wireProject';

export interface ITag {
  readonly tag: string;
  readonly reference: string;
  /** On the engine already. */
  readonly ready: boolean;
}

export interface IImageChoice {
  readonly key: string;
  readonly mark: string;
  readonly title: string;
  readonly purpose: string;
  /** Empty where there is one reference, and no tags to choose from. */
  readonly repository: string;
  /** Those known so far: on the engine, or asked of the registry. */
  readonly tags: readonly ITag[];
}

export interface IImageSources {
  readonly offers: readonly IOffer[];
  readonly local: readonly ILocalImage[];
  /** Tags that registries have told, by repository. */
  readonly remote: ReadonlyMap<string, readonly IRemoteTag[]>;
  /** References that were launched before, the last one first. */
  readonly recent: readonly string[];
  readonly project: IProject | null;
  /** What stands in the search field. */
  readonly query: string;
}

export interface IImageGroups {
  /** At most one, of the folder's `dlenv.toml`. */
  readonly project: readonly IImageChoice[];
  readonly recent: readonly IImageChoice[];
  readonly recommended: readonly IImageChoice[];
  readonly here: readonly IImageChoice[];
  /** What was typed, if it can be the reference of an image that is not listed. */
  readonly typed: string;
}

/** Of the project's choice; a repository's name has no `<`. */
export const PROJECT = '<project>';

/** Made by us, to run what users choose. */
const OURS = /^dlenv[/-]/;
const REFERENCE =
  /^(?:[a-z0-9.-]+(?::\d+)?\/)?[a-z0-9._/-]+(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$/;

export function groupImages(sources: IImageSources): IImageGroups {
  const query = sources.query.trim();
  const references = sources.local.flatMap(image => image.tags);
  const recommended = sources.offers.map(offer =>
    fromOffer(offer, references, sources.remote)
  );
  const shown = new Set(
    recommended.flatMap(choice => choice.tags.map(tag => tag.reference))
  );
  const here = references
    .filter(reference => !shown.has(reference) && !OURS.test(reference))
    .map(reference => fromReference(reference));
  const everything = [...recommended, ...here];
  const known = everything.some(choice =>
    choice.tags.some(tag => tag.reference === query)
  );
  const recent = sources.recent.map(reference => ({
    ...fromReference(reference, references.includes(reference)),
    // Not that of the same image in another group.
    key: `<recent>${reference}`
  }));
  const project = sources.project
    ? [fromProject(sources.project, references)]
    : [];
  const found = (choices: readonly IImageChoice[]): readonly IImageChoice[] =>
    choices.filter(choice => matches(choice, query));
  return {
    project: found(project),
    recent: found(recent),
    recommended: found(recommended),
    here: found(here),
    typed: query.length > 1 && REFERENCE.test(query) && !known ? query : ''
  };
}

/**
 * One image by its reference alone.
 */
export function fromReference(reference: string, ready = true): IImageChoice {
  const { mark, title, version } = imageName(reference);
  const words = mark ? [title, version].filter(Boolean).join(' ') : '';
  return {
    key: reference,
    mark,
    title: shortened(reference),
    purpose: words,
    repository: '',
    tags: [{ tag: '', reference, ready }]
  };
}

function fromProject(
  project: IProject,
  references: readonly string[]
): IImageChoice {
  const { image } = project;
  const { mark, title, version } = imageName(image);
  return {
    key: PROJECT,
    mark,
    title: project.name,
    purpose: project.buildDir || [title, version].filter(Boolean).join(' '),
    repository: '',
    tags: [{ tag: '', reference: image, ready: references.includes(image) }]
  };
}

function fromOffer(
  offer: IOffer,
  references: readonly string[],
  remote: IImageSources['remote']
): IImageChoice {
  const prefix = `${offer.repository}:`;
  const local = new Set([
    ...offer.ready,
    ...references
      .filter(reference => reference.startsWith(prefix))
      .map(reference => reference.slice(prefix.length))
  ]);
  const told = (remote.get(offer.repository) ?? []).map(({ tag }) => tag);
  // What the registry does not list any more is here all the same.
  const rest = [...local]
    .filter(tag => !told.includes(tag))
    .sort()
    .reverse();
  return {
    key: offer.name,
    mark: imageName(offer.repository).mark,
    title: offer.title,
    purpose: offer.purpose,
    repository: offer.repository,
    tags: [...told, ...rest].map(tag => ({
      tag,
      reference: prefix + tag,
      ready: local.has(tag)
    }))
  };
}

function matches(choice: IImageChoice, query: string): boolean {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [
    choice.title,
    choice.purpose,
    choice.repository,
    ...choice.tags.map(tag => tag.reference)
  ]
    .join(' ')
    .toLowerCase();
  return words.every(word => text.includes(word));
}

function shortened(reference: string): string {
  return reference.replace(/^(?:docker\.io\/)?(?:library\/)?/, '');
}
