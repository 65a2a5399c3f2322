/**
 * The state of a launch form: what is chosen, what there is to choose from, what the server says.
 */
import type { IDisposable } from '@lumino/disposable';
import { Debouncer } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import { type API, failureOf, isMissingRoute } from './api';
import type { EnginesModel } from './engines';
import type { GpusModel } from './gpus';
import { isPart, named } from './gpuNames';
import { type IImageGroups, PROJECT } from './images';
import { type ImageRoute, ImageSources } from './imageSources';
import {
  fromProject,
  type IChoice,
  NOTHING_CHOSEN,
  suggestName,
  toRequest
} from './launchRequest';
import type { IFailure } from './wire';
import type { ICheckedSpec, IDevice, IProblem } from './wireGpus';
import type { ISheet } from './wireImages';
import type { IJob } from './wireJobs';

/** Milliseconds without a key pressed. */
const SETTLE = 250;

export interface ILaunchOptions {
  readonly api: Pick<API, ImageRoute | 'check' | 'launch' | 'sheet'>;
  readonly gpus: GpusModel;
  readonly engines: EnginesModel;
  readonly taken: () => ReadonlySet<string>;
  /** What was launched last. */
  readonly last: Partial<IChoice> | null;
  /** Images that were launched before. */
  readonly recent: readonly string[];
  /** Of the server's files, where a project may be. */
  readonly directory: string;
  /** Begin with what the project says. */
  readonly fromProject: boolean;
  readonly remember: (choice: IChoice) => void;
}

export class LaunchModel implements IDisposable {
  constructor(private readonly _options: ILaunchOptions) {
    this._choice = { ...NOTHING_CHOSEN, ..._options.last, name: '' };
    if (this._choice.image) {
      this._suggestName();
    }
    const { api, recent, directory, fromProject } = _options;
    this._awaitsProject = fromProject;
    this.sources = new ImageSources(api, recent, directory);
    this.sources.changed.connect(this._onSources, this);
    _options.gpus.changed.connect(this._onGpus, this);
    _options.engines.switched.connect(this._onEngine, this);
    _options.gpus.want(this._choice.gpus);
    void this._checks.invoke();
  }

  readonly sources: ImageSources;

  get choice(): IChoice {
    const { gpus, devices } = this._choice;
    const free = this._options.gpus.board?.free ?? gpus;
    return { ...this._choice, waits: devices.length === 0 && gpus > free };
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get images(): IImageGroups {
    return this.sources.groups(this._query);
  }

  get query(): string {
    return this._query;
  }

  /** `null` where the server has not said anything yet. */
  get checked(): ICheckedSpec | null {
    return this._checked;
  }

  /** `null` where it is not known what the image is. */
  get sheet(): ISheet | null {
    return this._sheet;
  }

  /** Why the last launch was refused. */
  get failure(): IFailure | null {
    return this._failure;
  }

  /** The key of the image that was picked; empty where the image itself tells. */
  get picked(): string {
    return this._picked;
  }

  get isLaunching(): boolean {
    return this._isLaunching;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._aborts.forEach(abort => abort.abort());
    this._checks.dispose();
    this.sources.dispose();
    this._options.gpus.want(0);
    Signal.clearData(this);
  }

  /** Of the fields that somebody can have touched. */
  problem(field: string): IProblem | null {
    return this._checked?.problems.find(p => p.field === field) ?? null;
  }

  /** Why nothing can be launched now, or empty. */
  get obstacle(): IProblem | null {
    return this._checked?.problems[0] ?? null;
  }

  search(query: string): void {
    this._query = query;
    this._changed.emit();
  }

  update(change: Partial<IChoice>): void {
    this._choice = { ...this._choice, ...change };
    if (change.name !== undefined) {
      this._isNameChosen = change.name !== '';
    }
    if (change.image !== undefined) {
      this._sheet = null;
    }
    if (change.image !== undefined && !this._isNameChosen) {
      this._suggestName();
    }
    this._options.gpus.want(
      this._choice.devices.length > 0 ? 0 : this._choice.gpus
    );
    void this._checks.invoke();
    this._changed.emit();
  }

  /**
   * An image was picked.
   *
   * @param key - Of its row, if another row may have the same image.
   */
  pick(image: string, key = ''): void {
    this._picked = key;
    const { project } = this.sources;
    if (key === PROJECT && project) {
      if (!this._choice.project) {
        this._before = this._choice;
      }
      this.update(fromProject(project));
      // Another image gets another name.
      this._isNameChosen = false;
    } else {
      // Everything as before the project; only a name is suggested anew.
      const { name } = this._choice;
      this._choice = { ...this._choice, ...this._before, name };
      this._before = null;
      this.update({ image });
    }
  }

  /** A GPU or a part of one was picked by hand, or put back. */
  toggle(device: IDevice): void {
    const board = this._options.gpus.board;
    // A program sees whole GPUs or parts, never both.
    const picked = new Set(
      this.taken.filter(
        uuid => isPart(uuid, board) === isPart(device.uuid, board)
      )
    );
    if (!picked.delete(device.uuid)) {
      picked.add(device.uuid);
    }
    this.update({ devices: [...picked], gpus: picked.size });
  }

  /** How many GPUs are wanted, whether they are counted or picked. */
  get count(): number {
    const { devices, gpus } = this._choice;
    return devices.length > 0 ? this.taken.length : gpus;
  }

  /** UUIDs of the GPUs that light up. */
  get taken(): readonly string[] {
    const { board } = this._options.gpus;
    const { devices, gpus } = this._choice;
    return devices.length > 0
      ? devices.flatMap(device => named(device, board))
      : (board?.willBeTaken ?? []).slice(0, gpus);
  }

  async launch(): Promise<IJob | null> {
    if (this._isLaunching) {
      return null;
    }
    this._isLaunching = true;
    this._failure = null;
    this._changed.emit();
    try {
      // What stood in the way may have been changed a moment ago.
      while (this.obstacle && this._checkedChoice !== this._choice) {
        await this._check();
      }
      if (this.obstacle) {
        return null;
      }
      const job = await this._options.api.launch(toRequest(this.choice));
      this._options.remember(this._choice);
      return job;
    } catch (error) {
      this._failure = failureOf(error);
      return null;
    } finally {
      this._isLaunching = false;
      if (!this._isDisposed) {
        this._changed.emit();
      }
    }
  }

  private async _check(): Promise<void> {
    const signal = this._newSignal('check');
    const choice = this._choice;
    const hasImages = this._options.engines.inUse?.kind !== 'process';
    if (choice.image && !this._sheet && hasImages) {
      void this._loadSheet(choice.image);
    }
    try {
      const request = toRequest(this.choice);
      const checked = await this._options.api.check(request, signal);
      if (signal.aborted) {
        return;
      }
      this._checked = checked;
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      // The launch itself will say what is wrong.
      this._checked = isMissingRoute(error)
        ? null
        : {
            spec: null,
            problems: [{ ...failureOf(error), field: '' }],
            sshPort: 0
          };
    }
    this._checkedChoice = choice;
    this._changed.emit();
  }

  private async _loadSheet(image: string): Promise<void> {
    const signal = this._newSignal('sheet');
    try {
      const sheet = await this._options.api.sheet(image, signal);
      if (!signal.aborted) {
        this._sheet = sheet;
        this._changed.emit();
      }
    } catch {
      // Nothing is known of it beforehand; the pull will tell.
    }
  }

  /** A signal that is aborted by the next of its kind. */
  private _newSignal(kind: string): AbortSignal {
    this._aborts.get(kind)?.abort();
    const abort = new AbortController();
    this._aborts.set(kind, abort);
    return abort.signal;
  }

  private _suggestName(): void {
    const taken = this._options.taken();
    const name = suggestName(this._choice.image, taken);
    this._choice = { ...this._choice, name };
  }

  private _onSources(): void {
    const { project } = this.sources;
    if (this._awaitsProject && project) {
      this._awaitsProject = false;
      this.pick(project.image, PROJECT);
    }
    this._changed.emit();
  }

  private _onEngine(): void {
    this._sheet = null;
    this._checked = null;
    this._failure = null;
    this.sources.reload();
    // The GPUs of another machine have other UUIDs.
    this.update({ devices: [] });
  }

  private _onGpus(): void {
    const { board } = this._options.gpus;
    const places = JSON.stringify([board?.free, board?.willBeTaken]);
    // Their loads change all the time, and nothing of the form with them.
    if (places !== this._places) {
      this._places = places;
      this._changed.emit();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _checks = new Debouncer(() => this._check(), SETTLE);
  private readonly _aborts = new Map<string, AbortController>();
  private _choice: IChoice;
  private _query = '';
  private _checked: ICheckedSpec | null = null;
  /** What the answer of the last check is about. */
  private _checkedChoice: IChoice | null = null;
  private _sheet: ISheet | null = null;
  private _failure: IFailure | null = null;
  private _picked = '';
  private _places = '';
  /** What stood in the form before the project's own. */
  private _before: IChoice | null = null;
  private _awaitsProject: boolean;
  private _isNameChosen = false;
  private _isLaunching = false;
  private _isDisposed = false;
}
