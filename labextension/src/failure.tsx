/**
 * Why a launch failed: one sentence, what to try, the engine's own words, and all checks.
 */
import * as React from 'react';

import { Advice } from './advice';
import { failureOf } from './api';
import { COMMANDS } from './commandIds';
import { Checks, report, useFindings } from './doctor';
import { Button, CopyButton, Icon } from './parts';
import { paragraph } from './sentences';
import { useServices } from './services';
import type { IFailure, JSONRecord } from './wire';
import type { IJob } from './wireJobs';
import { Words } from './words';

export function Failure(props: { readonly job: IJob }): JSX.Element {
  const { job } = props;
  const { api, jobs, trans, run } = useServices();
  const doctor = useFindings();
  const [refusal, setRefusal] = React.useState<IFailure | null>(null);
  const title = React.useRef<HTMLHeadingElement>(null);
  const failure = job.error ?? {
    code: 'unknown',
    message: job.message,
    hint: '',
    detail: ''
  };
  React.useEffect(() => {
    if (document.hasFocus()) {
      title.current?.focus();
    }
  }, []);
  const again = (change: JSONRecord): void => {
    api.launch({ ...job.request, ...change }).then(
      next => {
        jobs.add(next);
        run(COMMANDS.showLaunch, { id: next.id, name: next.name });
      },
      error => setRefusal(failureOf(error))
    );
  };
  return (
    <div className="jp-DLEnv-page">
      <section className="jp-DLEnv-alert" role="alert">
        <h2 ref={title} tabIndex={-1} data-first-focus="">
          <Icon name="error" size={18} />
          <span>
            <Words>{failure.message}</Words>
          </span>
        </h2>
        {failure.hint && <Advice>{failure.hint}</Advice>}
        <div className="jp-DLEnv-row">
          <Button
            kind="accept"
            label={trans.__('Try again')}
            onClick={() => again({})}
          />
          {job.gpus > 0 && (
            <Button
              label={trans.__('Launch without GPUs')}
              onClick={() => again({ gpus: 0, wait_for_gpus: false })}
            />
          )}
          <Button
            label={trans.__('Change')}
            onClick={() => run(COMMANDS.create, { image: job.image })}
          />
          <CopyButton
            kind=""
            label={trans.__('Copy report for an administrator')}
            text={report(failure, doctor.findings ?? [])}
          />
        </div>
        {refusal && (
          <p className="jp-DLEnv-error">
            <Icon name="error" size={14} />
            {paragraph(refusal.message, refusal.hint)}
          </p>
        )}
        {failure.detail && <Detail text={failure.detail} />}
      </section>
      <Checks {...doctor} />
    </div>
  );
}

/**
 * The engine's own words, below ours.
 */
export function Detail(props: { readonly text: string }): JSX.Element {
  const { trans } = useServices();
  return (
    <details className="jp-DLEnv-raw" open>
      <summary>
        <Icon name="down" size={14} />
        {trans.__('What the engine said')}
      </summary>
      <pre tabIndex={0}>{props.text}</pre>
    </details>
  );
}
