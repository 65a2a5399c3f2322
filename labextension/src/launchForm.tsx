/**
 * The launch form: an image, GPUs, what will happen, and the same as a command.
 */
import * as React from 'react';

import { GpuBoard } from './gpuBoard';
import { ImageColumn } from './imageColumn';
import { Advanced } from './launchAdvanced';
import { LaunchModel } from './launchModel';
import { recall, remember } from './lastLaunch';
import { type IChoice, toMagic, toShell } from './launchRequest';
import { Summary } from './launchSummary';
import { Command } from './parts';
import { useServices, useShown, useSignal } from './services';
import type { IJob } from './wireJobs';
import type { View } from './view';

export function LaunchForm(props: {
  readonly view: View;
  readonly initial: Partial<IChoice>;
  /** Of the server's files, where a project may be. */
  readonly directory: string;
  /** Begin with what the project says. */
  readonly fromProject: boolean;
  readonly onLaunched: (job: IJob) => void;
}): JSX.Element {
  const services = useServices();
  const { api, gpus, engines, environments, jobs, trans } = services;
  const [model] = React.useState(() => {
    const last = recall(api.baseUrl);
    return new LaunchModel({
      api,
      gpus,
      engines,
      taken: () =>
        new Set(
          [...environments.environments, ...jobs.jobs.filter(isRunning)].map(
            item => item.name
          )
        ),
      last: { ...last.choice, ...props.initial },
      recent: last.images,
      directory: props.directory,
      fromProject: props.fromProject,
      remember: choice => remember(api.baseUrl, choice)
    });
  });
  useSignal(model.changed, () => model.choice);
  React.useEffect(() => () => model.dispose(), [model]);
  const isShown = useShown(props.view);
  React.useEffect(() => {
    const watching = isShown ? gpus.watch() : null;
    return () => watching?.dispose();
  }, [gpus, isShown]);

  const launch = (): void => {
    void model.launch().then(job => {
      if (job) {
        jobs.add(job);
        props.onLaunched(job);
      }
    });
  };
  return (
    <div
      className="jp-DLEnv-main"
      onKeyDown={event => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          event.stopPropagation();
          launch();
        }
      }}
    >
      <header className="jp-DLEnv-head">
        <h1>{trans.__('New environment')}</h1>
      </header>
      <div className="jp-DLEnv-form">
        <ImageColumn model={model} />
        <section className="jp-DLEnv-col" aria-labelledby="jp-DLEnv-h-gpu">
          <GpuBoard model={model} />
          <Advanced model={model} />
          <h2 className="jp-DLEnv-h2">
            {trans.__('Same launch as a command')}
          </h2>
          <Commands model={model} />
        </section>
        <Summary model={model} onLaunch={launch} />
      </div>
    </div>
  );
}

function Commands(props: { readonly model: LaunchModel }): JSX.Element {
  const { engines, trans } = useServices();
  const engine = useSignal(engines.changed, () => engines.option);
  const { choice } = props.model;
  if (!choice.image) {
    return (
      <p className="jp-DLEnv-muted">
        {trans.__('Appears when an image is chosen.')}
      </p>
    );
  }
  return (
    <div className="jp-DLEnv-cmds">
      <div>
        <span>{trans.__('Shell')}</span>
        <Command text={toShell(choice, engine)} wraps />
      </div>
      <div>
        <span>{trans.__('Notebook')}</span>
        <Command text={toMagic(choice, engine)} wraps />
      </div>
    </div>
  );
}

function isRunning(job: IJob): boolean {
  return !['ready', 'failed', 'cancelled'].includes(job.phase);
}
