/**
 * Where the images of a launch form come from: the catalogue, the engine, registries, the
 * folder's project and what was launched before.
 */
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import { type API, failureOf, isMissingRoute } from './api';
import { groupImages, type IImageGroups } from './images';
import type { IFailure } from './wire';
import type { ILocalImage } from './wireDoctor';
import type { IOffer, IRemoteTag } from './wireImages';
import type { IProject } from './wireProject';

export type ImageRoute = 'catalogue' | 'images' | 'project' | 'tags';

export class ImageSources implements IDisposable {
  /**
   * @param recent - References of images that were launched before.
   * @param directory - Of the server's files, where a project may be.
   */
  constructor(
    private readonly _api: Pick<API, ImageRoute>,
    private readonly _recent: readonly string[],
    private readonly _directory: string
  ) {
    void this._load();
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get project(): IProject | null {
    return this._project;
  }

  /** Why the images of the engine cannot be listed. */
  get imagesFailure(): IFailure | null {
    return this._imagesFailure;
  }

  /** Why the project of the folder cannot be offered. */
  get projectFailure(): IFailure | null {
    return this._projectFailure;
  }

  get isDisposed(): boolean {
    return this._abort.signal.aborted;
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._abort.abort();
      Signal.clearData(this);
    }
  }

  groups(query: string): IImageGroups {
    return groupImages({
      offers: this._offers,
      local: this._local,
      remote: this._tags,
      recent: this._recent,
      project: this._project,
      query
    });
  }

  /** Ask for everything anew: it is that of another engine. */
  reload(): void {
    this._local = [];
    this._imagesFailure = null;
    this._projectFailure = null;
    void this._load();
  }

  /** Ask the registry for the tags of an image, once. */
  async loadTags(repository: string): Promise<void> {
    if (this._tags.has(repository)) {
      return;
    }
    this._tags.set(repository, []);
    try {
      const { tags } = await this._api.tags(repository, this._abort.signal);
      if (!this.isDisposed) {
        this._tags.set(repository, tags);
        this._changed.emit();
      }
    } catch {
      // With no network, what is here can be launched all the same.
      this._tags.delete(repository);
    }
  }

  private async _load(): Promise<void> {
    const load = ++this._loads;
    const [offers, local, project] = await Promise.allSettled([
      this._api.catalogue(),
      this._api.images(),
      this._api.project(this._directory)
    ]);
    if (this.isDisposed || load !== this._loads) {
      return;
    }
    if (offers.status === 'fulfilled') {
      this._offers = offers.value;
    }
    if (local.status === 'fulfilled') {
      this._local = local.value;
    } else {
      this._imagesFailure = failureOf(local.reason);
    }
    if (project.status === 'fulfilled') {
      this._project = project.value;
    } else if (!isMissingRoute(project.reason)) {
      this._project = null;
      this._projectFailure = failureOf(project.reason);
    }
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _abort = new AbortController();
  private readonly _tags = new Map<string, readonly IRemoteTag[]>();
  private _loads = 0;
  private _offers: readonly IOffer[] = [];
  private _local: readonly ILocalImage[] = [];
  private _project: IProject | null = null;
  private _imagesFailure: IFailure | null = null;
  private _projectFailure: IFailure | null = null;
}
