/**
 * The server's REST routes, one function each; nothing else makes requests.
 */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { retried } from './retry';
import { paragraph } from './sentences';
import {
  type IEnvironment,
  type IFailure,
  type JSONRecord,
  parseEnvironment,
  parseEnvironments,
  parseFailure
} from './wire';
import {
  type IConnection,
  type IPort,
  parseConnection,
  parsePorts
} from './wireConnect';
import {
  type IEngine,
  type IFinding,
  type ILocalImage,
  parseEngine,
  parseFindings,
  parseLocalImages
} from './wireDoctor';
import { type IEngines, parseEngines } from './wireEngines';
import {
  type IBoard,
  type ICheckedSpec,
  parseBoard,
  parseCheckedSpec
} from './wireGpus';
import {
  type IOffer,
  type ISheet,
  type ITags,
  parseCatalogue,
  parseSheet,
  parseTags
} from './wireImages';
import { type IJob, parseJob, parseJobs } from './wireJobs';
import { type ILastExit, parseLastExit } from './wireKernels';
import { type IProject, parseProject } from './wireProject';
import {
  type IExport,
  type ISave,
  parseExport,
  parseSave,
  type Target
} from './wireTakeAlong';

/**
 * The server refused or failed, and said why.
 */
export class APIError extends Error {
  constructor(
    readonly failure: IFailure,
    readonly status: number
  ) {
    super(paragraph(failure.message, failure.hint));
    this.name = 'APIError';
  }
}

/**
 * Whether the server has no such route: it is older than this page.
 */
export function isMissingRoute(error: unknown): boolean {
  return (
    (error instanceof ServerConnection.ResponseError &&
      error.response.status === 404) ||
    (error instanceof APIError && error.failure.code === 'not-found')
  );
}

/**
 * What went wrong, for people, whatever was thrown.
 */
export function failureOf(error: unknown): IFailure {
  if (error instanceof APIError) {
    return error.failure;
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'unknown', message, hint: '', detail: '' };
}

export class API {
  /**
   * @param _language - In which the server says its sentences, as HTTP names it.
   */
  constructor(
    private readonly _settings: ServerConnection.ISettings,
    private readonly _language: string
  ) {}

  /** Identifies the server among those that share an origin. */
  get baseUrl(): string {
    return this._settings.baseUrl;
  }

  /**
   * Fails while the server is away; a hub answers for one that it has not.
   */
  async ping(): Promise<void> {
    const url = URLExt.join(this.baseUrl, 'api');
    const answer = await ServerConnection.makeRequest(url, {}, this._settings);
    if (answer.status === 424 || answer.status >= 500) {
      throw new ServerConnection.ResponseError(answer);
    }
  }

  async environments(): Promise<readonly IEnvironment[]> {
    return parseEnvironments(await this._json('environments'));
  }

  async launch(spec: JSONRecord): Promise<IJob> {
    return parseJob(await this._json('environments', post(spec)), 'the top');
  }

  async remove(name: string): Promise<void> {
    await this._request(environment(name), { method: 'DELETE' });
  }

  async act(
    name: string,
    action: 'start' | 'stop' | 'restart' | 'recreate',
    body: JSONRecord = {}
  ): Promise<IEnvironment> {
    const answer = await this._json(environment(name, action), post(body));
    return parseEnvironment(answer, 'the top');
  }

  /**
   * @returns What an environment prints, for as long as it does.
   */
  async logs(name: string, signal: AbortSignal): Promise<Response> {
    const path = `${environment(name, 'logs')}?follow=1&tail=1000`;
    return await this._request(path, { signal });
  }

  async jobs(): Promise<readonly IJob[]> {
    return parseJobs(await this._json('jobs'));
  }

  async job(id: string): Promise<IJob> {
    return parseJob(await this._json(`jobs/${quote(id)}`), 'the top');
  }

  async jobLog(id: string): Promise<string> {
    return await (await this._request(`jobs/${quote(id)}/log`)).text();
  }

  async lastExit(id: string): Promise<ILastExit> {
    return parseLastExit(await this._json(`kernels/${quote(id)}/last-exit`));
  }

  async cancel(id: string): Promise<void> {
    await this._request(`jobs/${quote(id)}`, { method: 'DELETE' });
  }

  async check(spec: JSONRecord, signal: AbortSignal): Promise<ICheckedSpec> {
    const check = async (): Promise<unknown> =>
      await this._json('spec', { ...post(spec), signal });
    return parseCheckedSpec(await retried(check, isBrokenOff(signal)));
  }

  async gpus(count: number): Promise<IBoard> {
    return parseBoard(await this._json(`gpus?count=${count}`));
  }

  async doctor(): Promise<readonly IFinding[]> {
    return parseFindings(await this._json('doctor'));
  }

  async engine(): Promise<IEngine> {
    return parseEngine(await this._json('engine'));
  }

  async engines(): Promise<IEngines> {
    return parseEngines(await this._json('engines'));
  }

  async useEngine(name: string): Promise<IEngines> {
    const init = { ...post({ name }), method: 'PUT' };
    return parseEngines(await this._json('engine', init));
  }

  async images(): Promise<readonly ILocalImage[]> {
    return parseLocalImages(await this._json('images'));
  }

  async catalogue(): Promise<readonly IOffer[]> {
    return parseCatalogue(await this._json('catalogue'));
  }

  async tags(repository: string, signal: AbortSignal): Promise<ITags> {
    const path = `tags?repository=${quote(repository)}`;
    return parseTags(await this._json(path, { signal }));
  }

  async sheet(image: string, signal: AbortSignal): Promise<ISheet> {
    const path = `images/sheet?image=${quote(image)}`;
    return parseSheet(await this._json(path, { signal }));
  }

  async project(directory: string): Promise<IProject | null> {
    const path = `project?path=${quote(directory)}`;
    return parseProject(await this._json(path));
  }

  async export(
    name: string,
    target: Target,
    signal: AbortSignal
  ): Promise<IExport> {
    const path = `${environment(name, 'export')}?to=${target}`;
    return parseExport(await this._json(path, { signal }));
  }

  async save(
    name: string,
    image: string,
    push: boolean,
    replace: boolean
  ): Promise<ISave> {
    const body = { image, push, replace };
    return parseSave(await this._json(environment(name, 'save'), post(body)));
  }

  async saving(id: string): Promise<ISave> {
    return parseSave(await this._json(`saves/${quote(id)}`));
  }

  async cancelSaving(id: string): Promise<void> {
    await this._request(`saves/${quote(id)}`, { method: 'DELETE' });
  }

  async connection(name: string): Promise<IConnection> {
    return parseConnection(await this._json(environment(name, 'connect')));
  }

  async ports(name: string): Promise<readonly IPort[]> {
    return parsePorts(await this._json(environment(name, 'ports')));
  }

  async addForward(
    name: string,
    port: number,
    localPort: number
  ): Promise<void> {
    const body = { port, local_port: localPort };
    await this._request(environment(name, 'forwards'), post(body));
  }

  async removeForward(name: string, localPort: number): Promise<void> {
    const path = environment(name, 'forwards', String(localPort));
    await this._request(path, { method: 'DELETE' });
  }

  /** @returns Where a browser sees what listens on a port inside. */
  proxyUrl(name: string, port: number): string {
    return URLExt.join(this.baseUrl, 'dlenv/proxy', name, String(port), '/');
  }

  private async _json(path: string, init?: RequestInit): Promise<unknown> {
    const response = await this._request(path, init);
    return await response.json();
  }

  private async _request(
    path: string,
    init: RequestInit = {}
  ): Promise<Response> {
    const request = async (): Promise<Response> =>
      await this._requestOnce(path, init);
    // What changes something may have arrived: whoever asked for it decides.
    return init.method
      ? await request()
      : await retried(request, isBrokenOff(init.signal));
  }

  private async _requestOnce(
    path: string,
    init: RequestInit
  ): Promise<Response> {
    const url = URLExt.join(this._settings.baseUrl, 'dlenv/api') + '/' + path;
    const settings = this._settings;
    // Not the browser's language: the page may be in another one.
    const headers = new Headers(settings.init.headers);
    headers.set('Accept-Language', this._language);
    const response = await ServerConnection.makeRequest(
      url,
      { ...init, headers },
      settings
    );
    if (!response.ok) {
      const answer: unknown = await response.json().catch(() => null);
      const failure = parseFailure(answer);
      throw failure
        ? new APIError(failure, response.status)
        : new ServerConnection.ResponseError(response);
    }
    return response;
  }
}

/**
 * Recognises a request that the network broke off, and not whoever asked.
 */
function isBrokenOff(signal?: AbortSignal | null): (error: unknown) => boolean {
  return error =>
    error instanceof ServerConnection.NetworkError && !signal?.aborted;
}

function environment(name: string, ...parts: string[]): string {
  return ['environments', quote(name), ...parts.map(quote)].join('/');
}

function quote(part: string): string {
  return encodeURIComponent(part);
}

function post(body: JSONRecord): RequestInit {
  return { method: 'POST', body: JSON.stringify(body) };
}
