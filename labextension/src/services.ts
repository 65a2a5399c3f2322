/**
 * What every view needs, handed down through React's context.
 */
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

import type { Actions } from './actions';
import type { API } from './api';
import type { CurrentEnvironment } from './current';
import type { EnginesModel } from './engines';
import type { GpusModel } from './gpus';
import type { JobsModel } from './jobs';
import type { IKernelUse, KernelsModel } from './kernels';
import type { IEnvironments } from './tokens';
import type { IEnvironment } from './wire';

export interface IServices {
  readonly api: API;
  readonly environments: IEnvironments;
  readonly jobs: JobsModel;
  readonly gpus: GpusModel;
  readonly engines: EnginesModel;
  readonly kernels: KernelsModel;
  readonly actions: Actions;
  readonly current: CurrentEnvironment;
  readonly trans: TranslationBundle;
  /** Run a command of `commands.ts`, and show what goes wrong. */
  readonly run: (
    command: string,
    args?: Readonly<Record<string, string>>
  ) => void;
  /** Open the menu of an environment at a point of the page. */
  readonly menu: (environment: IEnvironment, x: number, y: number) => void;
  /** Where new documents go, of the server's files. */
  readonly directory: () => string;
  /** Show the document that a kernel belongs to. */
  readonly open: (kernel: IKernelUse) => void;
}

export const Services = React.createContext<IServices | null>(null);

export function useServices(): IServices {
  const services = React.useContext(Services);
  if (!services) {
    throw new Error('A view was drawn outside of its services.');
  }
  return services;
}

/**
 * A value that changes when a signal says so; nothing is drawn again while it is the same.
 */
export function useSignal<T>(
  signal: ISignal<unknown, unknown>,
  read: () => T
): T {
  const [, draw] = React.useReducer((count: number) => count + 1, 0);
  const value = read();
  const last = React.useRef({ read, value });
  last.current = { read, value };
  React.useEffect(() => {
    const slot = (): void => {
      if (!isSame(last.current.read(), last.current.value)) {
        draw();
      }
    };
    signal.connect(slot);
    // Something may have changed between drawing and this.
    slot();
    return () => {
      signal.disconnect(slot);
    };
  }, [signal]);
  return value;
}

function isSame(a: unknown, b: unknown): boolean {
  return Array.isArray(a) && Array.isArray(b)
    ? a.length === b.length && a.every((item, index) => item === b[index])
    : a === b;
}

/**
 * Whether a view can be seen: what costs something is done only then.
 */
export function useShown(view: IShown): boolean {
  return useSignal(view.shownChanged, () => view.isVisible);
}

export interface IShown {
  readonly isVisible: boolean;
  readonly shownChanged: ISignal<unknown, unknown>;
}

/**
 * The time, renewed now and then while a component is on the page.
 */
export function useNow(interval: number): number {
  const [now, setNow] = React.useState(Date.now());
  React.useEffect(() => {
    const timer = window.setInterval(() => {
      if (document.visibilityState === 'visible') {
        setNow(Date.now());
      }
    }, interval);
    return () => window.clearInterval(timer);
  }, [interval]);
  return now;
}
