/**
 * The project that a directory is in, as its `dlenv.toml` describes it.
 */
import {
  asObject,
  asString,
  isObject,
  type JSONRecord,
  text,
  texts
} from './wire';

export interface IProject {
  /** Of the file. */
  readonly path: string;
  readonly name: string;
  readonly image: string;
  /** Where its Dockerfile is, or empty. */
  readonly buildDir: string;
  /** A `dlenv.lock` says which image. */
  readonly isPinned: boolean;
  /** What it is given that lies outside of the project, in the server's words. */
  readonly beyond: readonly string[];
  /** What the file says of a launch, name and image included. */
  readonly spec: JSONRecord;
}

export function parseProject(answer: unknown): IProject | null {
  const value = asObject(answer, 'the top')['project'];
  if (!isObject(value)) {
    return null;
  }
  const spec = asObject(value['spec'], 'project.spec');
  return {
    path: asString(value['path'], 'project.path'),
    name: asString(spec['name'], 'project.spec.name'),
    image: asString(spec['image'], 'project.spec.image'),
    buildDir: text(value, 'build_dir'),
    isPinned: value['pinned'] === true,
    beyond: texts(value, 'beyond'),
    spec
  };
}
