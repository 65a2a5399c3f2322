/**
 * A launch under way: its phases, its layers, its log; and what to do if it failed.
 */
import * as React from 'react';

import { COMMANDS } from './commandIds';
import { Failure } from './failure';
import { duration, gigabytes, imageName, ratio, summary } from './format';
import { Layers } from './layers';
import { Button, CopyButton, Icon, Mark, Meter, State } from './parts';
import { phaseWord } from './phases';
import {
  type IServices,
  useNow,
  useServices,
  useShown,
  useSignal
} from './services';
import type { View } from './view';
import { hasEnded, type IJob, type Phase, PHASES } from './wireJobs';

export function Progress(props: {
  readonly view: View;
  readonly id: string;
}): JSX.Element {
  const { jobs, trans, run } = useServices();
  const job = useSignal(jobs.changed, () => jobs.find(props.id));
  const isShown = useShown(props.view);
  React.useEffect(() => {
    void jobs.refresh().catch(() => undefined);
  }, [jobs]);
  if (!job) {
    return (
      <div className="jp-DLEnv-main">
        <div className="jp-DLEnv-page">
          <p className="jp-DLEnv-muted">
            {trans.__('The server does not know this launch any more.')}
          </p>
          <div>
            <Button
              label={trans.__('New environment')}
              onClick={() => run(COMMANDS.create)}
            />
          </div>
        </div>
      </div>
    );
  }
  return (
    <div className="jp-DLEnv-main">
      <Head job={job} />
      {job.phase === 'failed' ? (
        <Failure job={job} />
      ) : (
        <div className="jp-DLEnv-page jp-mod-fit">
          <Phases job={job} />
          <Announcement job={job} />
          {job.phase === 'ready' && <Ready job={job} />}
          {!hasEnded(job) && <Total job={job} />}
          {job.phase === 'pulling' && job.layers.length > 0 && (
            <Layers layers={job.layers} />
          )}
          {!hasEnded(job) && (
            <p className="jp-DLEnv-muted">
              {job.gpus > 0 &&
              (job.phase === 'queued' || job.phase === 'pulling')
                ? trans.__(
                    'You can close this page; the launch goes on. GPUs are taken after the download; until then others may use them.'
                  )
                : trans.__('You can close this page; the launch goes on.')}
            </p>
          )}
        </div>
      )}
      {hasLog(job) && <LogDrawer job={job} isShown={isShown} />}
    </div>
  );
}

function Head(props: { readonly job: IJob }): JSX.Element {
  const { job } = props;
  const { api, trans, run } = useServices();
  const cancel = (): void => {
    void api.cancel(job.id).catch(() => undefined);
  };
  return (
    <header className="jp-DLEnv-head">
      <Mark mark={imageName(job.image).mark} />
      <h1 className="jp-DLEnv-clip">{job.name}</h1>
      <span className="jp-DLEnv-muted jp-DLEnv-clip">
        {summary(job.image, job.gpus, trans)}
      </span>
      {job.phase === 'failed' && (
        <State icon="error" tone="bad">
          {trans.__('Failed while %1', inSentence(lastPhase(job), trans))}
        </State>
      )}
      <span className="jp-DLEnv-grow" />
      {!hasEnded(job) && (
        <Button
          icon="close"
          label={
            job.cancelling ? trans.__('Cancelling') : trans.__('Cancel launch')
          }
          disabled={job.cancelling}
          onClick={cancel}
        />
      )}
      {job.phase === 'cancelled' && (
        <Button
          label={trans.__('New environment')}
          onClick={() => run(COMMANDS.create)}
        />
      )}
    </header>
  );
}

function Phases(props: { readonly job: IJob }): JSX.Element {
  const { job } = props;
  const { trans } = useServices();
  const now = useNow(1000);
  // Only a launch that waits for GPUs, or did, has that phase.
  const phases = PHASES.filter(
    phase => phase !== 'waiting' || job.began.has(phase)
  );
  const at = phaseReached(job, phases);
  const columns = `repeat(${phases.length - 1}, 1fr) auto`;
  return (
    <ol className="jp-DLEnv-phases" style={{ gridTemplateColumns: columns }}>
      {phases.map((phase, index) => {
        const isDone = index < at || job.phase === 'ready';
        const isNow = index === at && !isDone;
        const stopped = isNow && job.phase === 'cancelled';
        return (
          <li
            key={phase}
            className={isDone ? 'jp-mod-done' : isNow ? 'jp-mod-now' : ''}
            aria-current={isNow ? 'step' : undefined}
          >
            {isDone ? (
              <Icon name="done" size={18} />
            ) : stopped ? (
              <Icon name="stopped" size={18} />
            ) : isNow ? (
              <Icon name="spinner" size={18} className="jp-DLEnv-spin" />
            ) : (
              <i />
            )}
            <b>{phaseWord(phase, trans)}</b>
            <small>{took(job, phase, now, trans)}</small>
          </li>
        );
      })}
    </ol>
  );
}

function Total(props: { readonly job: IJob }): JSX.Element {
  const { job } = props;
  const { trans } = useServices();
  const isPull = job.phase === 'pulling';
  // A step is named when it begins, and is not done by that.
  const done = isPull ? job.current : job.current - 0.5;
  const value = job.total > 0 ? ratio(done, job.total) : null;
  const words =
    job.total === 0
      ? job.message
      : isPull
        ? trans.__(
            '%1 of %2',
            (job.current / 1e9).toFixed(2),
            gigabytes(job.total, 2)
          )
        : trans.__('Step %1 of %2', job.current, job.total);
  return (
    <section className="jp-DLEnv-total" aria-label={trans.__('Progress')}>
      <div>
        <strong>{job.cancelling ? trans.__('Undoing') : words}</strong>
        {value !== null && (
          <span className="jp-DLEnv-muted">
            {isPull ? `${Math.round(value * 100)}\u00a0%` : job.message}
          </span>
        )}
        <span className="jp-DLEnv-grow" />
        {isPull && job.speed > 0 && (
          <span className="jp-DLEnv-num">
            {trans.__('%1 MB/s', Math.round(job.speed / 1e6))}
          </span>
        )}
        {job.secondsLeft !== null && (
          <strong className="jp-DLEnv-num">
            {trans.__('%1 left', duration(job.secondsLeft * 1000, trans))}
          </strong>
        )}
      </div>
      <Meter
        label={trans.__('Progress')}
        role="progressbar"
        value={value}
        mine
        big
      />
    </section>
  );
}

function Ready(props: { readonly job: IJob }): JSX.Element {
  const { job } = props;
  const { trans, run } = useServices();
  return (
    <div className="jp-DLEnv-row">
      <Button
        kind="accept"
        icon="notebook"
        label={trans.__('Open notebook')}
        onClick={() => run(COMMANDS.notebook, { name: job.name })}
      />
      <Button
        icon="plug"
        label={trans.__('Connect')}
        onClick={() => run(COMMANDS.connect, { name: job.name })}
      />
    </div>
  );
}

/**
 * What a screen reader hears: phases and quarters, and nothing in between.
 */
function Announcement(props: { readonly job: IJob }): JSX.Element {
  const { job } = props;
  const { trans } = useServices();
  const quarter =
    job.phase === 'pulling'
      ? Math.floor(ratio(job.current, job.total) * 4) * 25
      : 0;
  return (
    <p className="jp-DLEnv-vh" role="status">
      {phaseWord(job.phase, trans)}
      {quarter > 0 ? ` ${quarter}\u00a0%` : ''}
    </p>
  );
}

function LogDrawer(props: {
  readonly job: IJob;
  readonly isShown: boolean;
}): JSX.Element {
  const { job, isShown } = props;
  const { api, trans } = useServices();
  const [log, setLog] = React.useState('');
  const [isOpen, setOpen] = React.useState(job.phase === 'failed');
  const pre = React.useRef<HTMLPreElement>(null);
  React.useEffect(() => {
    let isGone = false;
    if (isShown) {
      // Once for each report of the build that this page hears of.
      api.jobLog(job.id).then(
        text => {
          if (!isGone) {
            setLog(text);
          }
        },
        () => undefined
      );
    }
    return () => {
      isGone = true;
    };
  }, [api, isShown, job]);
  React.useEffect(() => {
    pre.current?.scrollTo(0, pre.current.scrollHeight);
  }, [log, isOpen]);
  const lines = log.trimEnd().split('\n');
  if (!log) {
    return <></>;
  }
  return (
    <section className={`jp-DLEnv-drawer${isOpen ? ' jp-mod-open' : ''}`}>
      <header>
        <Button
          kind="icon"
          icon={isOpen ? 'down' : 'up'}
          label={trans.__('Build log')}
          expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        />
        <b>{trans.__('Build log')}</b>
        {isOpen ? (
          <>
            <span className="jp-DLEnv-grow" />
            <CopyButton text={log} kind="plain small" />
          </>
        ) : (
          <code className="jp-DLEnv-muted jp-DLEnv-clip">
            {lines[lines.length - 1]}
          </code>
        )}
      </header>
      {isOpen && (
        <pre ref={pre} tabIndex={0} aria-label={trans.__('Build log')}>
          {lines.map((line, index) => (
            <React.Fragment key={index}>
              {/^(Step|#\d+ \[|\d+\/\d+ )/.test(line) ? <b>{line}</b> : line}
              {'\n'}
            </React.Fragment>
          ))}
        </pre>
      )}
    </section>
  );
}

function inSentence(phase: Phase, trans: IServices['trans']): string {
  const word = phaseWord(phase, trans);
  return word.charAt(0).toLowerCase() + word.slice(1);
}

/** What a launch did when it failed. */
function lastPhase(job: IJob): Phase {
  return PHASES[phaseReached(job, PHASES)] ?? 'queued';
}

function hasLog(job: IJob): boolean {
  return job.began.has('preparing');
}

/**
 * The index of the phase that a launch is in, or was in when it ended.
 */
function phaseReached(job: IJob, phases: readonly Phase[]): number {
  const index = phases.indexOf(job.phase);
  return index >= 0
    ? index
    : Math.max(0, ...phases.map((phase, i) => (job.began.has(phase) ? i : 0)));
}

function took(
  job: IJob,
  phase: Phase,
  now: number,
  trans: Parameters<typeof duration>[1]
): string {
  const began = job.began.get(phase);
  if (began === undefined || phase === 'ready') {
    return phase === 'creating' && job.gpus > 0 && began === undefined
      ? trans.__('takes the GPUs')
      : '';
  }
  const later = [...job.began.values()].filter(time => time > began);
  const end = later.length > 0 ? Math.min(...later) : now;
  return duration(end - began, trans);
}
