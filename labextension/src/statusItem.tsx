/**
 * In the status bar: the environment of the notebook in front, and how busy its GPUs are.
 */
import { showPopup } from '@jupyterlab/statusbar';
import type { Widget } from '@lumino/widgets';
import * as React from 'react';

import { COMMANDS } from './commandIds';
import { EnvironmentState, LiveGpus, Uptime } from './environmentItem';
import { GIB, gpuMemory, percent, summary } from './format';
import { Button, Icon, Sparkline } from './parts';
import { type IServices, useServices, useSignal } from './services';
import { View } from './view';
import type { IEnvironment } from './wire';
import type { IGpu } from './wireGpus';

export function StatusItem(props: { readonly view: Widget }): JSX.Element {
  const services = useServices();
  const { current, gpus, trans } = services;
  const environment = useSignal(current.changed, () => current.environment);
  const hasGpus = (environment?.gpus ?? 0) > 0;
  React.useEffect(() => {
    const watching = hasGpus ? gpus.watch() : null;
    return () => watching?.dispose();
  }, [gpus, hasGpus]);
  const mine = useSignal(gpus.changed, () =>
    environment ? gpus.of(environment) : []
  );
  if (!environment) {
    return <></>;
  }
  return (
    <button
      type="button"
      className="jp-DLEnv-statusitem"
      aria-haspopup="dialog"
      title={trans.__('Environment of this notebook')}
      onClick={() => openPopover(services, environment, props.view)}
    >
      <Icon name="chip" size={14} />
      <span>{environment.name}</span>
      {mine.length > 0 && <Figures gpus={mine} />}
    </button>
  );
}

function Figures(props: { readonly gpus: readonly IGpu[] }): JSX.Element {
  const { gpus, trans } = useServices();
  const mine = props.gpus;
  return (
    <>
      <Sparkline
        values={mean(mine, gpus)}
        width={40}
        height={14}
        samples={12}
      />
      <span>
        <span className="jp-DLEnv-vh">{trans.__('Memory')} </span>
        {gpuMemory(
          sum(mine, gpu => rounded(gpu.memoryUsed)),
          sum(mine, gpu => rounded(gpu.memoryTotal))
        )}
      </span>
      <span>
        <span className="jp-DLEnv-vh">{trans.__('Load')} </span>
        {percent(sum(mine, gpu => gpu.utilization ?? 0) / mine.length)}
      </span>
    </>
  );
}

function openPopover(
  services: IServices,
  environment: IEnvironment,
  anchor: Widget
): void {
  const popover = new View(
    services,
    () => (
      <Popover
        environment={environment}
        onClose={() => {
          popup?.dispose();
          anchor.node.querySelector('button')?.focus();
        }}
      />
    ),
    'jp-DLEnv-popover'
  );
  popover.node.setAttribute('role', 'dialog');
  popover.node.setAttribute('aria-label', environment.name);
  const popup = showPopup({ body: popover, anchor, align: 'left' });
  // Once React has drawn it.
  requestAnimationFrame(() => popover.node.querySelector('button')?.focus());
}

function Popover(props: {
  readonly environment: IEnvironment;
  readonly onClose: () => void;
}): JSX.Element {
  const { environment, onClose } = props;
  const { gpus, trans, run } = useServices();
  const mine = useSignal(gpus.changed, () => gpus.of(environment));
  const values = mean(mine, gpus);
  const act = (command: string): void => {
    onClose();
    run(command, { name: environment.name });
  };
  return (
    <div
      className="jp-DLEnv-env"
      onKeyDown={event => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          onClose();
        }
      }}
    >
      <header>
        <h3 className="jp-DLEnv-clip">{environment.name}</h3>
        <EnvironmentState environment={environment} />
      </header>
      <div className="jp-DLEnv-meta">
        <span className="jp-DLEnv-clip">
          {summary(environment.image, environment.gpus, trans)}
        </span>
        {environment.started && (
          <Uptime since={Date.parse(environment.started)} />
        )}
      </div>
      {mine.length > 0 && (
        <>
          <LiveGpus environment={environment} />
          <figure>
            <figcaption className="jp-DLEnv-meta">
              <span>{trans.__('Load, last 5 min')}</span>
              <span>{percent(values[values.length - 1] ?? 0)}</span>
            </figcaption>
            <Sparkline values={values} width={294} height={40} samples={150} />
          </figure>
        </>
      )}
      <div className="jp-DLEnv-acts">
        <Button
          kind="small"
          icon="plug"
          label={trans.__('Connect')}
          onClick={() => act(COMMANDS.connect)}
        />
        <Button
          kind="small"
          icon="stop"
          label={trans.__('Stop')}
          onClick={() => act(COMMANDS.stop)}
        />
        <span className="jp-DLEnv-grow" />
        <Button
          kind="small plain"
          label={trans.__('Show in sidebar')}
          onClick={() => act(COMMANDS.sidebar)}
        />
      </div>
    </div>
  );
}

/**
 * The mean load of some GPUs over time.
 */
function mean(
  mine: readonly IGpu[],
  gpus: IServices['gpus']
): readonly number[] {
  const histories = mine.map(gpu => gpus.history(gpu.uuid));
  const length = Math.min(...histories.map(history => history.length));
  return Array.from(
    { length: Number.isFinite(length) ? length : 0 },
    (_, index) =>
      sum(histories, history => history[history.length - length + index] ?? 0) /
      histories.length
  );
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

/** So that the sum is that of the numbers that are shown for each. */
function rounded(bytes: number): number {
  return Math.round(bytes / GIB) * GIB;
}
