/**
 * What this extension offers to others.
 */
import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';

import type { IEnvironment, IFailure } from './wire';

/**
 * The environments of this server.
 */
export interface IEnvironments {
  /**
   * The environments as last seen; empty until the server has answered once.
   */
  readonly environments: readonly IEnvironment[];

  /**
   * Whether the server has answered once.
   */
  readonly isReady: boolean;

  /**
   * Why the server could not say what there is; `null` if it could.
   */
  readonly failure: IFailure | null;

  /**
   * Emitted when an environment came, went or changed.
   */
  readonly changed: ISignal<this, void>;

  /**
   * Ask the server now.
   *
   * @returns A promise that is rejected when the server cannot say.
   */
  refresh(): Promise<void>;
}

export const IEnvironments = new Token<IEnvironments>(
  'jupyter-dlenv:IEnvironments',
  'The DL environments of this server, kept fresh while the page is visible.'
);
