/**
 * The last column of the launch form: what will happen, and the button that lets it happen.
 */
import * as React from 'react';

import { gigabytes, size } from './format';
import type { LaunchModel } from './launchModel';
import { FieldError } from './launchAdvanced';
import { Button, Fact, Icon } from './parts';
import { useServices } from './services';
import { text, texts } from './wire';
import type { ISheet } from './wireImages';

export function Summary(props: {
  readonly model: LaunchModel;
  readonly onLaunch: () => void;
}): JSX.Element {
  const { model, onLaunch } = props;
  const { trans } = useServices();
  const { choice, failure } = model;
  const obstacle = choice.image ? model.obstacle : null;
  const invalidName = model.problem('name');
  const isBlocked =
    !choice.image || obstacle !== null || model.isLaunching || !choice.name;
  return (
    <section className="jp-DLEnv-col" aria-labelledby="jp-DLEnv-h-plan">
      <h2 className="jp-DLEnv-h2" id="jp-DLEnv-h-plan">
        {trans.__('What will happen')}
      </h2>
      <label className="jp-DLEnv-field">
        <span>{trans.__('Name')}</span>
        <input
          className="jp-DLEnv-input"
          value={choice.name}
          spellCheck={false}
          aria-invalid={choice.name !== '' && invalidName !== null}
          aria-describedby="jp-DLEnv-error-name"
          onChange={event => model.update({ name: event.target.value })}
        />
        {choice.name !== '' && <FieldError model={model} field="name" />}
      </label>
      {model.sheet && <Checks sheet={model.sheet} />}
      <Settings model={model} />
      <div className="jp-DLEnv-foot">
        {failure && (
          <div className="jp-DLEnv-refusal" role="alert">
            <Icon name="error" />
            <p>
              {failure.message} {failure.hint}
            </p>
          </div>
        )}
        <Button
          kind="accept big"
          label={model.isLaunching ? trans.__('Launching') : trans.__('Launch')}
          disabled={isBlocked}
          describedBy="jp-DLEnv-launch-note"
          onClick={onLaunch}
        />
        <div id="jp-DLEnv-launch-note">
          <Note model={model} />
        </div>
      </div>
    </section>
  );
}

function Note(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { trans } = useServices();
  const licence = model.sheet?.licence;
  if (!model.choice.image) {
    return <p>{trans.__('Choose an image first.')}</p>;
  }
  if (model.obstacle) {
    return <p>{model.obstacle.message}</p>;
  }
  return (
    <>
      {licence && (
        <p>
          {trans.__('Launching accepts the licence of the image:')}{' '}
          <a href={licence.url} target="_blank" rel="noreferrer">
            {licence.name}
          </a>
        </p>
      )}
      <p>{trans.__('You can leave this page meanwhile.')}</p>
    </>
  );
}

function Checks(props: { readonly sheet: ISheet }): JSX.Element | null {
  const { trans, gpus } = useServices();
  const { sheet } = props;
  const driver = gpus.board?.driver ?? '';
  const isFull =
    sheet.disk !== null &&
    sheet.diskFree !== null &&
    sheet.disk > sheet.diskFree;
  return (
    <>
      <h3 className="jp-DLEnv-h3">{trans.__('Checks')}</h3>
      <dl className="jp-DLEnv-facts jp-mod-checks">
        {sheet.disk !== null && (
          <Fact
            icon={isFull ? 'error' : 'done'}
            tone={isFull ? 'bad' : 'ok'}
            label={trans.__('Disk')}
          >
            {sheet.diskFree === null
              ? gigabytes(sheet.disk)
              : trans.__(
                  '%1, %2 free',
                  size(sheet.disk),
                  gigabytes(sheet.diskFree, 0)
                )}
          </Fact>
        )}
        {sheet.driverNeeded !== '' && (
          <Fact icon="done" tone="ok" label={trans.__('Driver')}>
            {driver
              ? trans.__('%1, needs %2', driver, sheet.driverNeeded)
              : trans.__('needs %1', sheet.driverNeeded)}
          </Fact>
        )}
        {sheet.download !== null && (
          <Fact icon="info" label={trans.__('Download')}>
            {sheet.download === 0
              ? trans.__('none, all of it is here')
              : sheet.here
                ? trans.__(
                    '%1, %2 here',
                    size(sheet.download),
                    size(sheet.here)
                  )
                : size(sheet.download)}
          </Fact>
        )}
        {sheet.warnings.map(warning => (
          <div key={warning} data-tone="warn" className="jp-mod-wide">
            <Icon name="warning" />
            <dt className="jp-DLEnv-vh">{trans.__('Warning')}</dt>
            <dd>{warning}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function Settings(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { trans, gpus } = useServices();
  const { choice } = model;
  const spec = model.checked?.spec;
  const mounts = spec ? texts(spec, 'mounts') : [];
  const ports = spec ? texts(spec, 'ports') : [];
  const taken = (gpus.board?.gpus ?? [])
    .filter(gpu => model.taken.includes(gpu.uuid))
    .map(gpu => gpu.index);
  return (
    <>
      <h3 className="jp-DLEnv-h3">{trans.__('Settings')}</h3>
      <dl className="jp-DLEnv-facts">
        <Fact label={trans.__('GPUs')}>
          {choice.gpus === 0
            ? trans.__('none')
            : taken.length > 0
              ? taken.join(', ')
              : String(choice.gpus)}
        </Fact>
        {mounts.map(mount => {
          const [source = '', target = '', mode] = mount.split(':');
          return (
            <Fact
              key={mount}
              label={trans.__('Mount')}
              note={[
                target === source
                  ? trans.__('at the same path')
                  : trans.__('as %1', target),
                mode === 'ro' ? trans.__('read only') : ''
              ]
                .filter(Boolean)
                .join(', ')}
            >
              <bdi className="jp-DLEnv-path" title={source}>
                {source}
              </bdi>
            </Fact>
          );
        })}
        {ports.map(port => {
          const [address = '', host = '', container = ''] = port.split(':');
          return (
            <Fact
              key={port}
              label={trans.__('Port')}
              note={
                address === '127.0.0.1'
                  ? trans.__('this machine only')
                  : trans.__('on %1', address)
              }
            >
              {host === '0'
                ? trans.__('%1, next free', container)
                : `${container} → ${host}`}
            </Fact>
          );
        })}
        <Fact
          label={trans.__('User')}
          note={choice.user === 'caller' ? trans.__('new files are yours') : ''}
        >
          {choice.user === 'caller'
            ? trans.__('you')
            : choice.user === 'image'
              ? trans.__('as the image says')
              : choice.user}
        </Fact>
        <Fact label={trans.__('Shared memory')}>
          {spec ? memory(spec) : choice.sharedMemory}
        </Fact>
      </dl>
    </>
  );
}

function memory(spec: Parameters<typeof text>[0]): string {
  const bytes = spec['shm_size'];
  return typeof bytes === 'number'
    ? `${+(bytes / 1024 ** 3).toFixed(1)}\u00a0GiB`
    : '';
}
