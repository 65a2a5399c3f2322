/**
 * All GPUs of the machine in one line.
 */
import * as React from 'react';

import { facts, list, ratio } from './format';
import { type IServices, useServices, useSignal } from './services';
import type { IGpu } from './wireGpus';

export function HostStrip(): JSX.Element | null {
  const { engines, gpus, trans } = useServices();
  const board = useSignal(gpus.changed, () => gpus.board);
  const elsewhere = useSignal(engines.changed, () => engines.elsewhere);
  if (!board || board.gpus.length === 0) {
    return null;
  }
  const words = trans.__('%1 of %2 free', board.free, board.gpus.length);
  return (
    <div className="jp-DLEnv-host">
      <div>
        <span className="jp-DLEnv-muted">
          {elsewhere
            ? trans.__('GPUs on %1', elsewhere)
            : trans.__('GPUs on this machine')}
        </span>
        <span>{words}</span>
      </div>
      <div
        className="jp-DLEnv-cells"
        role="img"
        aria-label={words}
        style={{
          gridTemplateColumns: `repeat(${Math.min(8, Math.max(4, board.gpus.length))}, 1fr)`
        }}
      >
        {board.gpus.map(gpu => (
          <span key={gpu.index} className={kind(gpu)} title={title(gpu, trans)}>
            <i
              style={{
                width: `${ratio(gpu.memoryUsed, gpu.memoryTotal) * 100}%`
              }}
            />
            {gpu.index}
          </span>
        ))}
      </div>
    </div>
  );
}

function kind(gpu: IGpu): string {
  if (gpu.environment) {
    return 'jp-mod-mine';
  }
  switch (gpu.state) {
    case 'free':
      return '';
    case 'lost':
    case 'error':
      return 'jp-mod-lost';
    default:
      return 'jp-mod-busy';
  }
}

function title(gpu: IGpu, trans: IServices['trans']): string {
  const who = gpu.environment || list(gpu.users, trans) || gpu.reason;
  return facts([`GPU ${gpu.index}`, gpu.name, who], trans);
}
