/**
 * An environment for elsewhere: a file that another tool starts, or an image of it as it is now.
 */
import * as React from 'react';

import { failureOf } from './api';
import { EnvironmentState } from './environmentItem';
import { EXAMPLES } from './examples';
import { gigabytes, imageName, ratio } from './format';
import { Button, CopyButton, Icon, Mark, Meter } from './parts';
import { paragraph } from './sentences';
import { Segmented } from './segmented';
import { type IServices, useServices, useSignal } from './services';
import type { IFailure } from './wire';
import {
  type IExport,
  type ISave,
  type Target,
  TARGETS
} from './wireTakeAlong';
import { Words } from './words';

/** Milliseconds between two looks at a saving, while somebody looks. */
const INTERVAL = 1_000;

export function TakeAlong(props: { readonly name: string }): JSX.Element {
  const { name } = props;
  const { environments, trans } = useServices();
  const environment = useSignal(environments.changed, () =>
    environments.environments.find(item => item.name === name)
  );
  return (
    <div className="jp-DLEnv-main">
      <header className="jp-DLEnv-head">
        <Mark mark={imageName(environment?.image ?? '').mark} />
        <h1 className="jp-DLEnv-clip">{trans.__('Take %1 along', name)}</h1>
        {environment && <EnvironmentState environment={environment} />}
      </header>
      <div className="jp-DLEnv-page">
        <AsFile name={name} />
        <AsImage name={name} />
      </div>
    </div>
  );
}

function AsFile(props: { readonly name: string }): JSX.Element {
  const { name } = props;
  const { api, trans } = useServices();
  const [target, setTarget] = React.useState<Target>('devcontainer');
  const [done, setDone] = React.useState<IExport | null>(null);
  const [failure, setFailure] = React.useState<IFailure | null>(null);
  React.useEffect(() => {
    const abort = new AbortController();
    setDone(null);
    setFailure(null);
    api.export(name, target, abort.signal).then(
      found => !abort.signal.aborted && setDone(found),
      error => !abort.signal.aborted && setFailure(failureOf(error))
    );
    return () => abort.abort();
  }, [api, name, target]);
  return (
    <section className="jp-DLEnv-sect">
      <h2 className="jp-DLEnv-h2" id="jp-DLEnv-h-export">
        {trans.__('As a file for another tool')}
      </h2>
      <Segmented
        labelledBy="jp-DLEnv-h-export"
        values={TARGETS}
        value={target}
        word={known => targetWord(known, trans)}
        isFirst
        onChange={setTarget}
      />
      {failure && <Refusal failure={failure} />}
      {done && (
        <>
          <div className="jp-DLEnv-code">
            <header>
              <span className="jp-DLEnv-clip">
                {done.file || targetWord(target, trans)}
              </span>
              <CopyButton kind="plain small" text={done.content} />
              {done.file && (
                <Button
                  kind="plain small"
                  icon="download"
                  label={trans.__('Download')}
                  onClick={() => download(done)}
                />
              )}
            </header>
            <pre tabIndex={0} aria-label={targetWord(target, trans)}>
              {done.content}
            </pre>
          </div>
          <Notes notes={done.notes} />
        </>
      )}
    </section>
  );
}

function AsImage(props: { readonly name: string }): JSX.Element {
  const { name } = props;
  const { api, trans } = useServices();
  const [image, setImage] = React.useState(`${name}:1`);
  const [isPushed, setPushed] = React.useState(false);
  const [save, setSave] = React.useState<ISave | null>(null);
  const [failure, setFailure] = React.useState<IFailure | null>(null);
  const isRunning = save !== null && !save.hasEnded;
  const id = isRunning ? save.id : '';
  React.useEffect(() => {
    if (!id) {
      return;
    }
    let isGone = false;
    const timer = window.setInterval(() => {
      if (document.visibilityState === 'visible') {
        api.saving(id).then(
          found => !isGone && setSave(found),
          error => !isGone && setFailure(failureOf(error))
        );
      }
    }, INTERVAL);
    return () => {
      isGone = true;
      window.clearInterval(timer);
    };
  }, [api, id]);
  const begin = (replace: boolean): void => {
    setFailure(null);
    api.save(name, image.trim(), isPushed, replace).then(setSave, error => {
      setFailure(failureOf(error));
    });
  };
  const wrong = failure ?? save?.error ?? null;
  return (
    <section className="jp-DLEnv-sect">
      <h2 className="jp-DLEnv-h2">{trans.__('As an image')}</h2>
      <p className="jp-DLEnv-muted">
        {trans.__(
          'With all that was installed in it. Its processes stand still for a moment; its home directory, mounts and variables are left out.'
        )}
      </p>
      <form
        className="jp-DLEnv-save"
        onSubmit={event => {
          event.preventDefault();
          begin(false);
        }}
      >
        <label className="jp-DLEnv-field">
          <span>{trans.__('Name of the image')}</span>
          <input
            className="jp-DLEnv-input"
            placeholder={EXAMPLES.image}
            spellCheck={false}
            value={image}
            onChange={event => setImage(event.target.value)}
          />
        </label>
        <label className="jp-DLEnv-check">
          <input
            type="checkbox"
            checked={isPushed}
            onChange={event => setPushed(event.target.checked)}
          />
          <span>{trans.__('Push it to its registry')}</span>
        </label>
        <button
          type="submit"
          className="jp-DLEnv-btn jp-mod-accept"
          disabled={isRunning || image.trim() === ''}
        >
          <span>{trans.__('Save')}</span>
        </button>
      </form>
      {isRunning && (
        <Saving
          save={save}
          onCancel={() => void api.cancelSaving(save.id).catch(() => undefined)}
        />
      )}
      {wrong && <Refusal failure={wrong} />}
      {wrong?.code === 'image-exists' && (
        <div>
          <Button
            label={trans.__('Replace the image')}
            onClick={() => begin(true)}
          />
        </div>
      )}
      {save?.phase === 'ready' && !failure && <Saved save={save} />}
    </section>
  );
}

function Saving(props: {
  readonly save: ISave;
  readonly onCancel: () => void;
}): JSX.Element {
  const { save } = props;
  const { trans } = useServices();
  return (
    <div className="jp-DLEnv-saving">
      <Meter
        label={trans.__('Progress')}
        role="progressbar"
        value={save.total > 0 ? ratio(save.current, save.total) : null}
        mine
      />
      <div className="jp-DLEnv-row">
        <span role="status">
          {save.phase === 'pushing' ? trans.__('Pushing') : trans.__('Saving')}
        </span>
        {save.total > 0 && (
          <span className="jp-DLEnv-muted">
            {trans.__(
              '%1 of %2',
              (save.current / 1e9).toFixed(2),
              gigabytes(save.total, 2)
            )}
          </span>
        )}
        <span className="jp-DLEnv-grow" />
        <Button
          kind="small"
          label={trans.__('Cancel')}
          disabled={save.isCancelling}
          onClick={props.onCancel}
        />
      </div>
    </div>
  );
}

function Saved(props: { readonly save: ISave }): JSX.Element {
  const { save } = props;
  const { trans } = useServices();
  return (
    <>
      <p className="jp-DLEnv-state" data-tone="ok" role="status">
        <Icon name="done" size={14} />
        <span>
          {trans.__('%1 is saved, %2', save.image, gigabytes(save.size))}
        </span>
      </p>
      <Notes notes={save.notes} />
    </>
  );
}

function Notes(props: { readonly notes: readonly string[] }): JSX.Element {
  return (
    <ul className="jp-DLEnv-notes">
      {props.notes.map(note => (
        <li key={note} className="jp-DLEnv-muted jp-DLEnv-small">
          <Words>{note}</Words>
        </li>
      ))}
    </ul>
  );
}

function Refusal(props: { readonly failure: IFailure }): JSX.Element {
  const { message, hint } = props.failure;
  return (
    <p className="jp-DLEnv-error" role="alert">
      <Icon name="error" size={14} />
      <span>
        <Words>{paragraph(message, hint)}</Words>
      </span>
    </p>
  );
}

/** Let the browser keep a file; its name has no directories. */
function download(done: IExport): void {
  const url = URL.createObjectURL(new Blob([done.content]));
  const link = document.createElement('a');
  link.href = url;
  link.download = done.file.split('/').pop() ?? done.file;
  link.click();
  URL.revokeObjectURL(url);
}

function targetWord(target: Target, trans: IServices['trans']): string {
  switch (target) {
    case 'devcontainer':
      return trans.__('Dev container');
    case 'compose':
      return trans.__('Compose');
    case 'docker-run':
      return 'docker run';
    case 'dockerfile':
      return 'Dockerfile';
  }
}
