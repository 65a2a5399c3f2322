/**
 * A launch in the sidebar, under way or failed.
 */
import * as React from 'react';

import { COMMANDS } from './commandIds';
import { duration, gigabytes, ratio, summary } from './format';
import { Button, Meter, State } from './parts';
import { phaseWord } from './phases';
import { useServices } from './services';
import type { IJob } from './wireJobs';
import { Words } from './words';

export const LaunchItem = React.memo(function LaunchItem(props: {
  readonly job: IJob;
  readonly onDismiss: (id: string) => void;
}): JSX.Element {
  const { job, onDismiss } = props;
  const { api, trans, run } = useServices();
  const isFailed = job.phase === 'failed';
  const show = (): void =>
    run(COMMANDS.showLaunch, { id: job.id, name: job.name });
  const isPull = job.phase === 'pulling' && job.total > 0;
  return (
    <li className="jp-DLEnv-env">
      <header>
        <h3 className="jp-DLEnv-clip">
          <button type="button" className="jp-DLEnv-name" onClick={show}>
            {job.name}
          </button>
        </h3>
        <State
          icon={isFailed ? 'error' : 'spinner'}
          tone={isFailed ? 'bad' : 'mine'}
        >
          {job.cancelling && !isFailed
            ? trans.__('Cancelling')
            : phaseWord(job.phase, trans)}
        </State>
      </header>
      <div className="jp-DLEnv-meta">
        <span className="jp-DLEnv-clip">
          {summary(job.image, job.gpus, trans)}
        </span>
        <span className="jp-DLEnv-num">
          {!isFailed && job.secondsLeft !== null
            ? trans.__('%1 left', duration(job.secondsLeft * 1000, trans))
            : ''}
        </span>
      </div>
      {isFailed ? (
        <>
          <p className="jp-DLEnv-reason">
            <Words>{job.error?.message ?? job.message}</Words>
          </p>
          <div className="jp-DLEnv-acts">
            <Button kind="small" label={trans.__('Explain')} onClick={show} />
            <span className="jp-DLEnv-grow" />
            <Button
              kind="icon"
              icon="close"
              label={trans.__('Dismiss')}
              onClick={() => onDismiss(job.id)}
            />
          </div>
        </>
      ) : (
        <>
          <Meter
            label={trans.__('Progress')}
            role="progressbar"
            value={job.total > 0 ? ratio(job.current, job.total) : null}
            mine
          />
          <div className="jp-DLEnv-acts">
            <span className="jp-DLEnv-small jp-DLEnv-clip">
              {isPull
                ? trans.__(
                    '%1 of %2',
                    (job.current / 1e9).toFixed(1),
                    gigabytes(job.total)
                  )
                : job.message}
            </span>
            <span className="jp-DLEnv-grow" />
            <Button
              kind="small"
              label={trans.__('Cancel')}
              disabled={job.cancelling}
              onClick={() => void api.cancel(job.id).catch(() => undefined)}
            />
          </div>
        </>
      )}
    </li>
  );
});
