/**
 * The server's REST routes, one function each; nothing else makes requests.
 */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import {
  type IEnvironment,
  type IFailure,
  parseEnvironments,
  parseFailure
} from './wire';

/**
 * The server refused or failed, and said why.
 */
export class APIError extends Error {
  constructor(readonly failure: IFailure) {
    super([failure.message, failure.hint].filter(Boolean).join(' '));
    this.name = 'APIError';
  }
}

/**
 * `GET /dlenv/api/environments`
 */
export async function listEnvironments(
  settings: ServerConnection.ISettings
): Promise<readonly IEnvironment[]> {
  return parseEnvironments(await request(settings, 'environments'));
}

async function request(
  settings: ServerConnection.ISettings,
  path: string,
  init: RequestInit = {}
): Promise<unknown> {
  const url = URLExt.join(settings.baseUrl, 'dlenv/api', path);
  const response = await ServerConnection.makeRequest(url, init, settings);
  const answer: unknown = await response.json().catch(() => null);
  if (!response.ok) {
    const failure = parseFailure(answer);
    throw failure
      ? new APIError(failure)
      : new ServerConnection.ResponseError(response);
  }
  return answer;
}
