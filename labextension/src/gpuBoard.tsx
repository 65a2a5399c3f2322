/**
 * The middle of the launch form: how many GPUs, and which those will be.
 */
import * as React from 'react';

import { gpuMemory, percent, ratio } from './format';
import type { LaunchModel } from './launchModel';
import { Icon, Meter, State, type Tone } from './parts';
import { rove } from './roving';
import type { StrokeName } from './icons';
import { type IServices, useServices, useSignal } from './services';
import type { IBoard, IDevice, IGpu } from './wireGpus';

export function GpuBoard(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { gpus, trans } = useServices();
  const board = useSignal(gpus.changed, () => gpus.board);
  const [said, setSaid] = React.useState('');
  const count = model.choice.gpus;
  const problem = model.problem('gpus');
  return (
    <>
      <h2 className="jp-DLEnv-h2" id="jp-DLEnv-h-gpu">
        {trans.__('GPUs')} <small>{board && headline(board)}</small>
      </h2>
      {board && board.gpus.length === 0 ? (
        <p className="jp-DLEnv-muted">
          {board.message || trans.__('This machine has no NVIDIA GPU.')}{' '}
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
              {board && count > board.free
                ? trans.__('The launch waits in line for the others.')
                : said}
            </span>
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
            aria-label={trans.__('GPUs of this machine')}
            onKeyDown={event => rove(event, '.jp-DLEnv-gpu', 2)}
          >
            {board?.gpus.map((gpu, position) => (
              <GpuTile
                key={gpu.index}
                gpu={gpu}
                board={board}
                isStop={position === 0}
                isTaken={model.taken.includes(gpu.uuid)}
                onPick={() => {
                  if (gpu.state === 'free') {
                    setSaid('');
                    model.toggle(gpu);
                  } else {
                    setSaid(`GPU ${gpu.index}: ${gpu.reason}`);
                  }
                }}
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

function GpuTile(props: {
  readonly gpu: IGpu;
  readonly board: IBoard;
  readonly isTaken: boolean;
  readonly isStop: boolean;
  readonly onPick: () => void;
}): JSX.Element {
  const { gpu, board, isTaken, onPick } = props;
  const { trans } = useServices();
  const { icon, word, tone } = stateOf(gpu, isTaken, trans);
  const isBroken = gpu.state === 'lost' || gpu.state === 'error';
  const note = noteOf(gpu, trans);
  const partner = board.nvlinks.find(([a]) => a === gpu.index)?.[1];
  // Only between two tiles of one row there is room for a line.
  const isPaired = partner === gpu.index + 1 && gpu.index % 2 === 0;
  return (
    <div
      className="jp-DLEnv-gpu"
      role="checkbox"
      aria-checked={isTaken}
      aria-disabled={gpu.state !== 'free' && !isTaken}
      aria-label={[`GPU ${gpu.index}`, word, note].filter(Boolean).join(', ')}
      data-state={gpu.state}
      tabIndex={props.isStop ? 0 : -1}
      onClick={onPick}
      onKeyDown={event => {
        if (event.key === ' ') {
          event.preventDefault();
          onPick();
        }
      }}
    >
      <header>
        <b>GPU {gpu.index}</b>
        <State icon={icon} tone={tone}>
          {word}
        </State>
      </header>
      {gpu.state === 'mig' ? (
        <div className="jp-DLEnv-slices">
          {gpu.mig.map(device => (
            <Slice key={device.uuid} device={device} />
          ))}
        </div>
      ) : (
        !isBroken && <Bars gpu={gpu} isMine={isTaken} />
      )}
      <p className={isBroken ? '' : 'jp-DLEnv-clip'} title={note}>
        {note}
      </p>
      {isPaired && (
        <span
          className="jp-DLEnv-nvlink"
          title={trans.__('NVLink between %1 and %2', gpu.index, partner)}
        />
      )}
    </div>
  );
}

function Bars(props: {
  readonly gpu: IGpu;
  readonly isMine: boolean;
}): JSX.Element {
  const { gpu, isMine } = props;
  const { trans } = useServices();
  return (
    <>
      <div className="jp-DLEnv-bar">
        <span>{trans.__('Memory')}</span>
        <Meter
          label={trans.__('Memory')}
          value={ratio(gpu.memoryUsed, gpu.memoryTotal)}
          mine={isMine}
        />
        <span className="jp-DLEnv-num">
          {gpuMemory(gpu.memoryUsed, gpu.memoryTotal)}
        </span>
      </div>
      {gpu.utilization !== null && (
        <div className="jp-DLEnv-bar">
          <span>{trans.__('Load')}</span>
          <Meter
            label={trans.__('Load')}
            value={gpu.utilization / 100}
            mine={isMine}
          />
          <span className="jp-DLEnv-num">{percent(gpu.utilization)}</span>
        </div>
      )}
    </>
  );
}

function Slice(props: { readonly device: IDevice }): JSX.Element {
  const { trans } = useServices();
  const { device } = props;
  const name = device.name.split('MIG ').pop() || `${device.index}`;
  const isUsed = device.state !== 'free';
  return (
    <span className={isUsed ? 'jp-mod-used' : ''}>
      {isUsed ? trans.__('%1 used', name) : name}
    </span>
  );
}

export function stateOf(
  gpu: IGpu,
  isTaken: boolean,
  trans: IServices['trans']
): { icon: StrokeName; word: string; tone: Tone } {
  if (isTaken) {
    return { icon: 'check', word: trans.__('Will be taken'), tone: 'mine' };
  }
  switch (gpu.state) {
    case 'free':
      return { icon: 'done', word: trans.__('Free'), tone: '' };
    case 'busy':
      return { icon: 'user', word: trans.__('In use'), tone: '' };
    case 'leased':
      return { icon: 'box', word: trans.__('Leased'), tone: '' };
    case 'fenced':
      return { icon: 'info', word: trans.__('Not for you'), tone: '' };
    case 'mig':
      return { icon: 'info', word: trans.__('MIG mode'), tone: '' };
    case 'lost':
      return { icon: 'error', word: trans.__('Lost'), tone: 'bad' };
    case 'error':
      return { icon: 'error', word: trans.__('In error'), tone: 'bad' };
  }
}

function noteOf(gpu: IGpu, trans: IServices['trans']): string {
  if (gpu.environment) {
    return trans.__('Your environment %1', gpu.environment);
  }
  switch (gpu.state) {
    case 'free':
      return gpu.name.replace(/^NVIDIA /, '');
    case 'mig':
      return trans.__('Not counted; pick a slice yourself');
    case 'lost':
      return trans.__(
        'No answer from the driver. Needs a reset by an administrator.'
      );
    case 'busy':
      return gpu.processes > 0
        ? [
            ...gpu.users,
            trans._n('%1 process', '%1 processes', gpu.processes)
          ].join(', ')
        : gpu.reason;
    default:
      return gpu.reason;
  }
}

/** `8 × H100 80GB HBM3`, if all are alike. */
function headline(board: IBoard): string {
  // A lost one does not tell its name.
  const names = new Set(board.gpus.map(gpu => gpu.name).filter(Boolean));
  const name = [...names][0]?.replace(/^NVIDIA /, '');
  return names.size === 1 && name
    ? `${board.gpus.length} × ${name}`
    : board.gpus.length > 0
      ? String(board.gpus.length)
      : '';
}
