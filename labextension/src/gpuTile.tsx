/**
 * One GPU of the board: how full it is, who has it, and its parts if it has some.
 */
import * as React from 'react';

import { facts, gpuMemory, gpuModel, percent, ratio } from './format';
import type { StrokeName } from './icons';
import { Icon, Meter, State, type Tone } from './parts';
import { rove } from './roving';
import { type IServices, useServices } from './services';
import type { IDevice, IGpu } from './wireGpus';

interface ITileProps {
  readonly gpu: IGpu;
  /** The index of the GPU to its right that NVLink joins it to. */
  readonly partner: number | null;
  /** UUIDs of all that the launch would take. */
  readonly taken: readonly string[];
  readonly isStop: boolean;
  /** Whether it is of another kind than its neighbours. */
  readonly showsModel: boolean;
  readonly onPick: (device: IDevice, name: string) => void;
}

export const GpuTile = React.memo(function GpuTile(
  props: ITileProps
): JSX.Element {
  const { gpu, partner, taken } = props;
  const isTaken = taken.includes(gpu.uuid);
  const onPick = (): void => props.onPick(gpu, `GPU ${gpu.index}`);
  const { trans } = useServices();
  const { icon, word, tone } = stateOf(gpu, isTaken, trans);
  const isBroken = gpu.state === 'lost' || gpu.state === 'error';
  const isSliced = gpu.mig.some(part => taken.includes(part.uuid));
  const note = isSliced ? '' : noteOf(gpu, props.showsModel, trans);
  const isParted = gpu.state === 'mig';
  return (
    <div
      className="jp-DLEnv-gpu"
      // Of a GPU in parts, the parts are what is checked.
      {...(isParted
        ? { role: 'group' }
        : { role: 'checkbox', 'aria-checked': isTaken })}
      aria-disabled={gpu.state !== 'free' && !isTaken}
      aria-label={facts([`GPU ${gpu.index}`, word, note], trans)}
      data-state={gpu.state}
      tabIndex={props.isStop ? 0 : -1}
      onClick={onPick}
      onKeyDown={event => {
        if (event.key === ' ' && event.target === event.currentTarget) {
          event.preventDefault();
          onPick();
        }
      }}
    >
      <header>
        <b>{`GPU ${gpu.index}`}</b>
        <State icon={icon} tone={tone}>
          {word}
        </State>
      </header>
      {gpu.state === 'mig' ? (
        <div
          className="jp-DLEnv-slices"
          onKeyDown={event => {
            if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
              rove(event, '.jp-DLEnv-slice');
            }
          }}
        >
          {gpu.mig.map((device, position) => (
            <Slice
              key={device.uuid}
              device={device}
              isTaken={taken.includes(device.uuid)}
              isStop={position === 0}
              onPick={() =>
                props.onPick(device, `GPU ${gpu.index}, ${sliceName(device)}`)
              }
            />
          ))}
        </div>
      ) : (
        !isBroken && <Bars gpu={gpu} isMine={isTaken} />
      )}
      <p className={isBroken ? '' : 'jp-DLEnv-clip'} title={note}>
        {note}
      </p>
      {partner !== null && (
        <span
          className="jp-DLEnv-nvlink"
          title={trans.__('NVLink between %1 and %2', gpu.index, partner)}
        />
      )}
    </div>
  );
}, isSame);

/** Whether it would be drawn as it is: most GPUs change little from one look to the next. */
function isSame(before: ITileProps, now: ITileProps): boolean {
  return (
    before.taken === now.taken &&
    before.partner === now.partner &&
    before.isStop === now.isStop &&
    before.showsModel === now.showsModel &&
    before.onPick === now.onPick &&
    JSON.stringify(before.gpu) === JSON.stringify(now.gpu)
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

function Slice(props: {
  readonly device: IDevice;
  readonly isTaken: boolean;
  readonly isStop: boolean;
  readonly onPick: () => void;
}): JSX.Element {
  const { trans } = useServices();
  const { device, isTaken } = props;
  const name = sliceName(device);
  const isUsed = device.state !== 'free';
  return (
    <button
      type="button"
      className="jp-DLEnv-slice"
      role="checkbox"
      aria-checked={isTaken}
      aria-disabled={isUsed && !isTaken}
      tabIndex={props.isStop ? 0 : -1}
      title={isUsed ? device.reason : undefined}
      onClick={event => {
        event.stopPropagation();
        props.onPick();
      }}
    >
      {isTaken && <Icon name="check" size={12} />}
      {isUsed ? trans.__('%1 used', name) : name}
    </button>
  );
}

/** `3g.40gb` */
export function sliceName(device: IDevice): string {
  return device.name.split('MIG ').pop() || `${device.index}`;
}

function stateOf(
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

function noteOf(
  gpu: IGpu,
  showsModel: boolean,
  trans: IServices['trans']
): string {
  if (gpu.environment) {
    return trans.__('Your environment %1', gpu.environment);
  }
  switch (gpu.state) {
    case 'free':
      return showsModel ? gpuModel(gpu.name) : '';
    case 'mig':
      return trans.__('Not counted; pick a slice yourself');
    case 'lost':
      return trans.__(
        'No answer from the driver. Needs a reset by an administrator.'
      );
    case 'busy':
      return gpu.processes > 0
        ? facts(
            [
              ...gpu.users,
              trans._n('%1 process', '%1 processes', gpu.processes)
            ],
            trans
          )
        : gpu.reason;
    default:
      return gpu.reason;
  }
}
