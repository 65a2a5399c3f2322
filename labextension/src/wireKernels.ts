/**
 * Why kernels ended, as the server sends it.
 */
import { asObject, asString, type JSONRecord, text } from './wire';

const KERNEL_EXIT_EVENT = 'https://schema.jupyter-dlenv.org/kernel-exit/v1';

/**
 * The end of a kernel that nobody had asked for.
 */
export interface IKernelExit {
  readonly kernelId: string;
  readonly environment: string;
  readonly message: string;
  readonly hint: string;
}

export function parseKernelExitEvent(event: JSONRecord): IKernelExit | null {
  if (event['schema_id'] !== KERNEL_EXIT_EVENT) {
    return null;
  }
  return {
    kernelId: asString(event['kernel_id'], 'kernel_id'),
    environment: asString(event['environment'], 'environment'),
    message: asString(event['message'], 'message'),
    hint: text(event, 'hint')
  };
}

/**
 * The same as the server tells whoever asks: in the language of the page.
 */
export interface ILastExit {
  readonly message: string;
  readonly hint: string;
  /** When; tells one end of a kernel from another. */
  readonly at: string;
  /** The last lines that the kernel wrote outside of notebooks. */
  readonly log: string;
}

export function parseLastExit(answer: unknown): ILastExit {
  const exit = asObject(answer, 'the top');
  return {
    message: asString(exit['message'], 'message'),
    hint: text(exit, 'hint'),
    at: asString(exit['at'], 'at'),
    log: text(exit, 'log')
  };
}
