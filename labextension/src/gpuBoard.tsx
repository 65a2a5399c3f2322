/**
 * The middle of the launch form: how many GPUs, and which those will be.
 */
import * as React from 'react';

import { facts, gpuModel } from './format';
import { GpuTile } from './gpuTile';
import type { LaunchModel } from './launchModel';
import { Icon } from './parts';
import { rove } from './roving';
import { type IServices, useServices, useSignal } from './services';
import type { IBoard, IDevice } from './wireGpus';

export function GpuBoard(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { gpus, trans } = useServices();
  const board = useSignal(gpus.changed, () => gpus.board);
  const [said, setSaid] = React.useState('');
  const count = model.count;
  const problem = model.problem('gpus');
  const taken = useSame(model.taken);
  const pick = React.useCallback(
    (device: IDevice, name: string) => {
      if (device.state === 'free') {
        setSaid('');
        model.toggle(device);
      } else {
        setSaid(`${name}: ${device.reason}`);
      }
    },
    [model]
  );
  return (
    <>
      <h2 className="jp-DLEnv-h2" id="jp-DLEnv-h-gpu">
        {trans.__('GPUs')} <small>{board && headline(board, trans)}</small>
      </h2>
      {board && board.gpus.length === 0 ? (
        <p className="jp-DLEnv-muted">
          {board.message || trans.__('There is no NVIDIA GPU.')}{' '}
          {trans.__('The launch uses none.')}
        </p>
      ) : (
        <>
          <div className="jp-DLEnv-count">
            <Stepper
              count={count}
              most={board?.gpus.length ?? 0}
              onChange={gpus => model.update({ gpus, devices: [] })}
            />
            {board && <span>{trans.__('of %1 free', board.free)}</span>}
            <span className="jp-DLEnv-muted" role="status">
              {model.choice.waits
                ? trans.__('The launch waits in line for the others.')
                : said}
            </span>
            {board && !said && !model.choice.waits && (
              <span className="jp-DLEnv-muted jp-DLEnv-wide">
                {trans.__('Ask for more and the launch waits in line.')}
              </span>
            )}
          </div>
          {problem && (
            <p className="jp-DLEnv-error">
              <Icon name="error" size={14} />
              {problem.message}
            </p>
          )}
          <div
            className="jp-DLEnv-board"
            role="group"
            aria-labelledby="jp-DLEnv-h-gpu"
            onKeyDown={event => rove(event, '.jp-DLEnv-gpu', 2)}
          >
            {board?.gpus.map((gpu, position) => (
              <GpuTile
                key={gpu.index}
                gpu={gpu}
                partner={partnerOf(gpu.index, board)}
                isStop={position === 0}
                showsModel={modelsOf(board).length > 1}
                taken={taken}
                onPick={pick}
              />
            ))}
          </div>
        </>
      )}
    </>
  );
}

function Stepper(props: {
  readonly count: number;
  readonly most: number;
  readonly onChange: (count: number) => void;
}): JSX.Element {
  const { trans } = useServices();
  const { count, most, onChange } = props;
  return (
    <div
      className="jp-DLEnv-step"
      role="group"
      aria-label={trans.__('Number of GPUs')}
      onKeyDown={event => {
        const step = {
          ArrowUp: 1,
          ArrowRight: 1,
          ArrowDown: -1,
          ArrowLeft: -1
        };
        const change = Object.entries(step).find(([k]) => k === event.key)?.[1];
        const wanted = count + (change ?? 0);
        if (change && wanted >= 0 && wanted <= most) {
          event.preventDefault();
          onChange(wanted);
        }
      }}
    >
      <button
        type="button"
        aria-label={trans.__('Fewer GPUs')}
        disabled={count <= 0}
        onClick={() => onChange(count - 1)}
      >
        <Icon name="remove" />
      </button>
      <output aria-label={trans.__('Number of GPUs')}>{count}</output>
      <button
        type="button"
        aria-label={trans.__('More GPUs')}
        disabled={count >= most}
        onClick={() => onChange(count + 1)}
      >
        <Icon name="add" />
      </button>
    </div>
  );
}

/** `8 × H100 80 GB HBM3, paired by NVLink` */
function headline(board: IBoard, trans: IServices['trans']): string {
  const models = modelsOf(board);
  const count = board.gpus.length;
  const linked = board.nvlinks.flat();
  const isPaired = new Set(linked).size === linked.length;
  return facts(
    [
      models.length === 1
        ? `${count} × ${models[0]}`
        : count > 0
          ? `${count}`
          : '',
      linked.length === 0
        ? ''
        : isPaired
          ? trans.__('paired by NVLink')
          : trans.__('joined by NVLink')
    ],
    trans
  );
}

/** A lost one does not tell what it is. */
function modelsOf(board: IBoard): readonly string[] {
  const names = board.gpus.map(gpu => gpuModel(gpu.name));
  return [...new Set(names)].filter(Boolean);
}

/** The one that NVLink joins a GPU to, if there is room for a line between the two. */
function partnerOf(index: number, board: IBoard): number | null {
  const partner = board.nvlinks.find(([a]) => a === index)?.[1];
  return partner === index + 1 && index % 2 === 0 ? partner : null;
}

/** The list as it was, while it says the same: what is drawn by it is not drawn again. */
function useSame(list: readonly string[]): readonly string[] {
  const key = list.join();
  return React.useMemo(() => list, [key]);
}
