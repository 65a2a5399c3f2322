/**
 * One environment in the sidebar.
 */
import * as React from 'react';

import type { Action } from './actions';
import { COMMANDS } from './commandIds';
import {
  duration,
  gpuMemory,
  list,
  percent,
  ratio,
  roughDuration,
  summary
} from './format';
import type { StrokeName } from './icons';
import type { IKernelUse } from './kernels';
import { Button, Icon, Meter, Sparkline, State, type Tone } from './parts';
import { type IServices, useNow, useServices, useSignal } from './services';
import type { IEnvironment } from './wire';

const MINUTE = 60_000;

export const EnvironmentItem = React.memo(function EnvironmentItem(props: {
  readonly environment: IEnvironment;
  readonly isCurrent: boolean;
}): JSX.Element {
  const { environment, isCurrent } = props;
  const { actions, trans, run, menu } = useServices();
  const action = useSignal(actions.changed, () => actions.of(environment.name));
  const { name } = environment;
  const taken = useTaken(environment);
  const args = { name };
  const isRunning = environment.status === 'running' && !action;
  const more = React.useRef<HTMLButtonElement>(null);
  const openMenu = (): void => {
    const box = more.current?.getBoundingClientRect();
    menu(environment, box?.left ?? 0, box?.bottom ?? 0);
  };
  return (
    <li
      className="jp-DLEnv-env"
      aria-current={isCurrent ? 'true' : undefined}
      onContextMenu={event => {
        event.preventDefault();
        menu(environment, event.clientX, event.clientY);
      }}
    >
      <header>
        <h3 className="jp-DLEnv-clip">
          <button
            type="button"
            className="jp-DLEnv-name"
            title={trans.__('Connect to %1', name)}
            onClick={() => run(COMMANDS.connect, args)}
            onKeyDown={event => {
              if (event.key === 'F10' && event.shiftKey) {
                event.preventDefault();
                openMenu();
              }
            }}
          >
            {name}
          </button>
        </h3>
        <EnvironmentState environment={environment} action={action} />
      </header>
      <div className="jp-DLEnv-meta">
        <span className="jp-DLEnv-clip" title={environment.image}>
          {summary(environment.image, environment.gpus, trans)}
        </span>
        {isRunning && environment.started && (
          <Uptime since={Date.parse(environment.started)} />
        )}
      </div>
      {isRunning && environment.gpus > 0 && (
        <LiveGpus environment={environment} />
      )}
      {isRunning && <Kernels environment={environment} />}
      {!isRunning && !action && (
        <Reason environment={environment} taken={taken} />
      )}
      <div className="jp-DLEnv-acts">
        {isRunning ? (
          <>
            <Button
              kind="small"
              icon="add"
              label={trans.__('Notebook')}
              title={trans.__('New notebook in %1', name)}
              onClick={() => run(COMMANDS.notebook, args)}
            />
            <Button
              kind="small"
              icon="terminal"
              label={trans.__('Terminal')}
              title={trans.__('Terminal inside %1', name)}
              onClick={() => run(COMMANDS.terminal, args)}
            />
            <Button
              kind="small"
              icon="plug"
              label={trans.__('Connect')}
              title={trans.__('Connect to %1', name)}
              onClick={() => run(COMMANDS.connect, args)}
            />
          </>
        ) : (
          environment.status === 'stopped' && (
            <Button
              kind="small"
              label={
                taken.length > 0
                  ? trans.__('Use other GPUs')
                  : trans.__('Start')
              }
              disabled={action !== null}
              onClick={() =>
                run(taken.length > 0 ? COMMANDS.recreate : COMMANDS.start, args)
              }
            />
          )
        )}
        <span className="jp-DLEnv-grow" />
        <Button
          ref={more}
          kind="icon"
          icon="more"
          label={trans.__('More actions for %1', name)}
          onClick={openMenu}
        />
      </div>
    </li>
  );
});

export function EnvironmentState(props: {
  readonly environment: IEnvironment;
  readonly action?: Action | null;
}): JSX.Element {
  const { trans } = useServices();
  const { icon, tone, word } = look(
    props.environment,
    props.action ?? null,
    trans
  );
  return (
    <State icon={icon} tone={tone}>
      {word}
    </State>
  );
}

export function Uptime(props: { readonly since: number }): JSX.Element {
  const { trans } = useServices();
  const now = useNow(MINUTE);
  const elapsed = now - props.since;
  return (
    <span className="jp-DLEnv-num">
      <span className="jp-DLEnv-narrow">
        {trans._p('narrow', 'up %1', roughDuration(elapsed, trans))}
      </span>
      <span className="jp-DLEnv-wide">
        {trans.__(
          'up %1',
          elapsed < 60 * MINUTE
            ? roughDuration(elapsed, trans)
            : duration(elapsed, trans)
        )}
      </span>
    </span>
  );
}

export function LiveGpus(props: {
  readonly environment: IEnvironment;
}): JSX.Element | null {
  const { gpus, trans } = useServices();
  const mine = useSignal(gpus.changed, () => gpus.of(props.environment));
  if (mine.length === 0) {
    return null;
  }
  return (
    <ul className="jp-DLEnv-live">
      {mine.map(gpu => (
        <li key={gpu.uuid}>
          <span className="jp-DLEnv-muted">{`GPU ${gpu.index}`}</span>
          <Meter
            label={trans.__('Memory')}
            value={ratio(gpu.memoryUsed, gpu.memoryTotal)}
            mine
          />
          <span className="jp-DLEnv-num">
            {gpuMemory(gpu.memoryUsed, gpu.memoryTotal)}
          </span>
          <span className="jp-DLEnv-load">
            <Sparkline
              values={gpus.history(gpu.uuid)}
              width={26}
              height={12}
              samples={20}
            />
            <span>
              {gpu.utilization === null ? '' : percent(gpu.utilization)}
            </span>
          </span>
        </li>
      ))}
    </ul>
  );
}

function Kernels(props: {
  readonly environment: IEnvironment;
}): JSX.Element | null {
  const { kernels, trans, open } = useServices();
  const used = useSignal(kernels.changed, () =>
    kernels.of(props.environment.kernelName)
  );
  const now = useNow(MINUTE);
  if (used.length === 0) {
    return null;
  }
  return (
    <ul className="jp-DLEnv-kernels">
      {used.map(kernel => (
        <li key={kernel.path}>
          <Icon
            name={kernel.type === 'notebook' ? 'notebook' : 'terminal'}
            size={14}
          />
          <button
            type="button"
            className="jp-DLEnv-name jp-DLEnv-clip"
            title={kernel.path}
            onClick={() => open(kernel)}
          >
            {kernel.name}
          </button>
          <span className="jp-DLEnv-muted">{idleWord(kernel, now, trans)}</span>
        </li>
      ))}
    </ul>
  );
}

/**
 * Which GPUs of a stopped environment others have meanwhile, by their numbers.
 */
function useTaken(environment: IEnvironment): readonly string[] {
  const { gpus } = useServices();
  return useSignal(gpus.changed, () =>
    environment.status !== 'stopped'
      ? []
      : (gpus.board?.gpus ?? [])
          .filter(
            gpu =>
              environment.gpuUuids.includes(gpu.uuid) &&
              gpu.state !== 'free' &&
              gpu.environment !== environment.name
          )
          .map(gpu => String(gpu.index))
  );
}

function Reason(props: {
  readonly environment: IEnvironment;
  readonly taken: readonly string[];
}): JSX.Element | null {
  const { trans } = useServices();
  const { taken } = props;
  const { status, outOfMemory, exitCode } = props.environment;
  if (status !== 'stopped') {
    return null;
  }
  if (outOfMemory) {
    return (
      <p className="jp-DLEnv-reason">
        {trans.__('It ran out of memory and was ended. Its files are kept.')}
      </p>
    );
  }
  // 0, and what `stop` itself causes.
  const isPlanned = exitCode === null || [0, 137, 143].includes(exitCode);
  return (
    <p className={`jp-DLEnv-reason${isPlanned ? ' jp-DLEnv-muted' : ''}`}>
      {isPlanned
        ? trans.__('Its files are kept.')
        : trans.__('It ended with code %1. Its files are kept.', exitCode)}
      {taken.length > 0 && (
        <>
          <br />
          {trans._n(
            'Its GPU %2 is taken now.',
            'Its GPUs %2 are taken now.',
            taken.length,
            list(taken, trans)
          )}
        </>
      )}
    </p>
  );
}

function idleWord(
  kernel: IKernelUse,
  now: number,
  trans: IServices['trans']
): string {
  if (kernel.busy) {
    return trans.__('busy');
  }
  const idle = now - kernel.lastActivity;
  return idle < MINUTE || Number.isNaN(idle)
    ? trans.__('idle')
    : trans.__('idle %1', roughDuration(idle, trans));
}

function look(
  environment: IEnvironment,
  action: Action | null,
  trans: IServices['trans']
): { icon: StrokeName; tone: Tone; word: string } {
  switch (action) {
    case 'starting':
      return { icon: 'spinner', tone: 'mine', word: trans.__('Starting') };
    case 'stopping':
      return { icon: 'spinner', tone: '', word: trans.__('Stopping') };
    case 'restarting':
      return { icon: 'spinner', tone: 'mine', word: trans.__('Restarting') };
    case 'removing':
      return { icon: 'spinner', tone: '', word: trans.__('Removing') };
    case null:
      break;
  }
  switch (environment.status) {
    case 'launching':
      return { icon: 'spinner', tone: 'mine', word: trans.__('Launching') };
    case 'running':
      return { icon: 'running', tone: 'ok', word: trans.__('Running') };
    case 'stopped':
      return environment.outOfMemory
        ? { icon: 'error', tone: 'bad', word: trans.__('Failed') }
        : { icon: 'stopped', tone: '', word: trans.__('Stopped') };
  }
}
